import Foundation
import Glibc
import Instrumentation
import NuvomWorkerCommand

/// A worker whose tasks misbehave. They tell the test what they do by lines in the named pipe `NOTES`, and hold pipes open by which the test sees
/// that their process is gone.
@main
struct WorkerUnderTest {
  static func main() async {
    if getenv("WORKER_UNDER_TEST") != nil, getenv("NUVOM_WORKER_CHILD") != nil { exit(9) }
    InstrumentationSystem.bootstrap(Passing())
    print("printed before the worker begins")
    let tasks: [any RunnableTask] = [
      echo, crash, trap, exits, hang, grow, prints, gate, idle, family, asks, fails, unhooked, flaky, slow, traced,
    ]
    await WorkerCommand.main(tasks: tasks + listedTwice)
  }

  /// What is linked, and listed nevertheless, if the test asks for it.
  private static var listedTwice: [any RunnableTask] {
    #if Macros
      if getenv("WORKER_UNDER_TEST_GIVES_LINKED") != nil { return [shoutTask] }
    #endif
    return []
  }
}

#if Macros
  /// Nobody lists it.
  @NuvomTask(tags: ["link"])
  func shout(text: String, times: Int = 1) -> String {
    String(repeating: text.uppercased(), count: times)
  }
#endif

let noteErrors = TaskHooks<String>(onError: { error in note("hook \(type(of: error))") })

let echo = TaskDefinition("echo", .init(tags: ["t"], description: "says what it was told")) { (text: String) in text }

/// Ends its process by a signal.
let crash = TaskDefinition("crash", hooks: noteErrors) { (number: Int) -> String in
  print("about to crash")
  note("crash")
  // Swift's own handler, which prints where it was, is not for signals that are sent.
  signal(Int32(number), SIG_DFL)
  raise(Int32(number))
  return "survived"
}

/// Ends its process as Swift does.
let trap = TaskDefinition("trap") { (index: Int) in [1, 2, 3][index] }

let exits = TaskDefinition("exits") { (status: Int) -> String in exit(Int32(status)) }

/// Never ends, heeds nothing, and has a process of its own; `life` is open as long as one of them lives.
let hang = TaskDefinition("hang", hooks: noteErrors) { (life: String) -> String in
  _ = open(life, O_WRONLY)
  var arguments = [strdup("sleep"), strdup("100000"), nil]
  var sleeper: pid_t = 0
  guard posix_spawnp(&sleeper, "sleep", nil, nil, &arguments, environ) == 0 else { return "no sleeper" }
  note("hang")
  while true {}
}

/// Takes memory without end.
let grow = TaskDefinition("grow") { (_: Int) -> Int in
  var blocks: [[UInt8]] = []
  while blocks.count < 4_096 { blocks.append([UInt8](repeating: 1, count: 16 << 20)) }
  return blocks.count
}

/// Prints what looks like the channel's messages.
let prints = TaskDefinition("prints") { (lines: Int) -> Int in
  for line in 0..<lines { print("\u{0}nuvom child\n\u{0}\u{0}\u{0}\u{5}line \(line)") }
  FileHandle.standardOutput.write(Data([0, 0, 0, 1, 0xC1]))
  return lines
}

/// Reports, then waits until somebody opens the pipe `gate`.
let gate = TaskDefinition("gate") { (gate: String) -> Int in
  try await JobContext.current?.report(percent: 50, "half")
  note("gate")
  close(open(gate, O_RDONLY))
  return JobContext.current?.attempt ?? 0
}

/// Does nothing until it is cancelled.
let idle = TaskDefinition("idle") { (_: Int) in
  note("idle")
  try await Task.sleep(for: .seconds(100_000))
}

/// Has a child that is enqueued with its ack.
let family = TaskDefinition("family") { (text: String) in
  JobContext.current?.enqueueWithAck(try fails.with { $0.retries = 0 }.job("child of \(text)"))
}

/// What surrounds it, and what the broker says.
let asks = TaskDefinition("asks") { (text: String) -> [String] in
  let answer = try await echo.delay(text).result()
  return [answer, PropagatedContext.current.tenant ?? "", "\(JobContext.current?.deadline != nil)"]
}

let fails = TaskDefinition("fails", hooks: noteErrors) { (text: String) -> String in
  throw PermanentError("no \(text)")
}

let unhooked = TaskDefinition(
  "unhooked",
  hooks: TaskHooks<Int>(
    beforeJob: { throw PermanentError("before") }, afterJob: { _ in throw PermanentError("after") })
) { (number: Int) in number }

/// Succeeds at its third attempt.
let flaky = TaskDefinition("flaky", .init(retries: 5, retryDelay: .seconds(100_000))) { (_: Int) -> String in
  guard JobContext.current?.attempt == 3 else { throw RetryLater(after: .seconds(100_000), "not yet") }
  return "third time"
}

/// Says which process runs it, and yields a little.
let slow = TaskDefinition("slow") { (number: Int) -> Int in
  note("slow \(number)")
  for _ in 0..<100 { await Task.yield() }
  return number
}

/// What its tracer's context is.
let traced = TaskDefinition("traced") { (_: Int) in ServiceContext.current?[PassedKey.self] ?? "nothing" }

/// A tracer's part that passes a text on, and says each time that it did.
struct Passing: Instrument {
  func inject<Carrier, Inject: Injector>(_ context: ServiceContext, into carrier: inout Carrier, using injector: Inject)
  where Inject.Carrier == Carrier {
    if let text = context[PassedKey.self] { injector.inject("\(text), passed on", forKey: "passed", into: &carrier) }
  }

  func extract<Carrier, Extract: Extractor>(
    _ carrier: Carrier, into context: inout ServiceContext, using extractor: Extract
  ) where Extract.Carrier == Carrier {
    if let text = extractor.extract(key: "passed", from: carrier) { context[PassedKey.self] = text }
  }
}

enum PassedKey: ServiceContextKey {
  typealias Value = String
}

/// A line for the test: what happens, in which process, at which attempt.
func note(_ what: String) {
  guard let path = getenv("NOTES") else { return }
  let line = Array("\(what) \(getpid()) \(JobContext.current?.attempt ?? 0)\n".utf8)
  let descriptor = open(path, O_WRONLY | O_CLOEXEC)
  _ = line.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
  close(descriptor)
}
