import Dispatch
import Logging
import NuvomTasks
import Subprocess
import Synchronization
import Tracing

// The C library's stdout is a variable.
#if canImport(Glibc)
  @preconcurrency import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The life of a process that a worker started to run jobs.
enum ChildRole {
  /// Set for a child alone.
  static let variable: Environment.Key = "NUVOM_WORKER_CHILD"

  /// Whether this process is one. Read once: what it starts itself must not take itself for one.
  static let isOurs: Bool = {
    let name = variable.rawValue
    defer { unsetenv(name) }
    return getenv(name) != nil
  }()

  /// Runs jobs until the worker has no more, or is gone.
  static func serve(_ tasks: [any RunnableTask], logger: Logger) async -> Never {
    // A service manager's signals reach all processes, but when to end is the worker's to say. A handler and not SIG_IGN, which
    // would be inherited by what jobs start.
    for number in [SIGTERM, SIGINT, SIGHUP, SIGPIPE] { signal(number) { _ in } }
    let channel = StandardStreams.takeAway()
    do {
      let server = ChildServer(try InlineExecutor(tasks, logger: logger), channel, logger: logger)
      // A thread of its own: it must see the worker's end also when every thread of the pool hangs in a job.
      DispatchQueue(label: "nuvom.child").async { server.listen() }
    } catch {
      ChildServer.leave("\(error)")
    }
    // The thread ends the process.
    await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
    ChildServer.leave("the process was woken without need")
  }
}

/// Standard input and output of a child, which are its worker's channel and nobody else's.
struct StandardStreams: Sendable {
  let input: Int32
  let output: Int32

  /// Takes both streams for the channel: who reads standard input finds it empty, what is printed goes to standard error.
  static func takeAway() -> StandardStreams {
    let streams = StandardStreams(
      input: fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3), output: fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3))
    let nothing = open("/dev/null", O_RDONLY | O_CLOEXEC)
    dup2(nothing, STDIN_FILENO)
    close(nothing)
    dup2(STDERR_FILENO, STDOUT_FILENO)
    // What was printed must be out when the process dies.
    setvbuf(stdout, nil, _IOLBF, 0)
    return streams
  }

  /// Writes all bytes, waiting where it must. False if nobody reads any more.
  static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Bool {
    var rest = bytes
    while !rest.isEmpty {
      let count = systemWrite(descriptor, rest.baseAddress, rest.count)
      if count < 0, errno == EINTR { continue }
      if count < 0, errno == EAGAIN {
        var wish = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        poll(&wish, 1, -1)
        continue
      }
      guard count > 0 else { return false }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
    return true
  }
}

/// write(2), which ``StandardStreams`` has a method's name for.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, bytes, count)
}

/// A child's side of the channel: takes orders, runs jobs one at a time, reports.
private final class ChildServer: Sendable {
  private struct State {
    var client: NuvomClient?
    var handler: Task<Void, Never>?
    var reports = 0
    var waiting: [Int: CheckedContinuation<ChildOrder.Refused?, Never>] = [:]
  }

  private let executor: InlineExecutor
  private let channel: StandardStreams
  private let logger: Logger
  private let state = Mutex(State())
  private let writing = Mutex(())

  init(_ executor: InlineExecutor, _ channel: StandardStreams, logger: Logger) {
    self.executor = executor
    self.channel = channel
    self.logger = logger
  }

  /// Ends the process for a reason that concerns its program.
  static func leave(_ reason: String) -> Never {
    let line = Array("nuvom: \(reason)\n".utf8)
    _ = line.withUnsafeBytes { StandardStreams.write($0, to: STDERR_FILENO) }
    _exit(70)
  }

  // MARK: Orders

  func listen() {
    _ = ChildFrame.mark.withUnsafeBytes { StandardStreams.write($0, to: channel.output) }
    var reader = ChildFrameReader()
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
    defer { buffer.deallocate() }
    do {
      while true {
        let count = read(channel.input, buffer.baseAddress, buffer.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { break }
        reader.append(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        while let order = try reader.next(ChildOrder.self) { try take(order) }
      }
    } catch {
      Self.leave("the worker's orders cannot be read: \(error)")
    }
    end()
  }

  /// The worker has no more jobs, or is gone: then what runs, and what it started, must not go on.
  private func end() -> Never {
    if state.withLock({ $0.handler != nil }), getpgrp() == getpid() { kill(0, SIGKILL) }
    // Not exit: threads of the program still run.
    fflush(nil)
    _exit(0)
  }

  private func take(_ order: ChildOrder) throws {
    switch order {
    case .configure(let configuration):
      if let limit = configuration.memoryLimit { Self.limitMemory(to: limit) }
      let address = BrokerAddress(host: configuration.host, port: configuration.port)
      let broker = NuvomClient.Configuration(address: address, name: configuration.clientName)
      let client = NuvomClient(link: OnDemandLink(configuration: broker, logger: logger))
      state.withLock { $0.client = client }
      send(.ready)
    case .run(let assignment):
      state.withLock { $0.handler = Task { await run(assignment) } }
    case .cancel: state.withLock(\.handler)?.cancel()
    case .progressTold(let number, let refusal):
      state.withLock { $0.waiting.removeValue(forKey: number) }?.resume(returning: refusal)
    }
  }

  /// Limits what the process takes for itself beyond what it has now. The stacks of threads to come are allowed for: they are counted as a
  /// whole, and hardly used. RLIMIT_AS would also count what malloc only reserves, 64 MiB for each thread.
  private static func limitMemory(to bytes: Int) {
    #if canImport(Glibc)
      let (data, stack) = (__rlimit_resource_t(RLIMIT_DATA.rawValue), __rlimit_resource_t(RLIMIT_STACK.rawValue))
    #else
      let (data, stack) = (RLIMIT_DATA, RLIMIT_STACK)
    #endif
    var limit = rlimit()
    let hasStackLimit = getrlimit(stack, &limit) == 0 && limit.rlim_cur < 1 << 30
    let stacks = (hasStackLimit ? Int(limit.rlim_cur) : 8 << 20) * max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1)
    let total = rlim_t(bytes + stacks + usedMemory())
    limit = rlimit(rlim_cur: total, rlim_max: total)
    if setrlimit(data, &limit) != 0 {
      leave("the memory limit of \(bytes) bytes cannot be set: \(String(cString: strerror(errno)))")
    }
  }

  /// What RLIMIT_DATA counts, in bytes: the sixth number of statm, in pages. 0 where the system does not tell.
  private static func usedMemory() -> Int {
    let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
    defer { close(descriptor) }
    var text = [UInt8](repeating: 0, count: 256)
    let count = read(descriptor, &text, text.count)
    guard count > 0 else { return 0 }
    let numbers = String(decoding: text[..<count], as: UTF8.self).split(separator: " ")
    return numbers.count > 5 ? (Int(numbers[5]) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) : 0
  }

  // MARK: Jobs

  private func run(_ assignment: Assignment) async {
    let job = assignment.job.job
    let context = JobContext(
      job: job, deadline: assignment.timeLeft.map { .now + $0 }, logger: logger.about(job),
      reportProgress: { try await self.tell($0) })
    var span = ServiceContext.topLevel
    var headers = job.headers
    headers.merge(assignment.trace.mapValues(\.value)) { _, worker in worker }
    InstrumentationSystem.instrument.extract(headers, into: &span, using: TraceHeaders())
    var outcome = JobOutcome()
    do {
      outcome.result = try await ServiceContext.$current.withValue(span) {
        try await NuvomClient.$current.withValue(state.withLock(\.client)) {
          try await PropagatedContext.$current.withValue(PropagatedContext(headers: job.headers)) {
            try await JobContext.$current.withValue(context) { try await executor.run(context) }
          }
        }
      }
      outcome.following = context.jobsToEnqueue.map(JobMessage.init)
    } catch {
      outcome.failure = JobOutcome.Failure(error)
    }
    // Before the report: the next job may come right after it.
    state.withLock { $0.handler = nil }
    // What is left in buffers is this job's and not the next one's.
    fflush(nil)
    finish(outcome)
  }

  private func finish(_ outcome: JobOutcome) {
    do {
      try write(.finished(outcome))
    } catch {
      send(
        .finished(JobOutcome(failure: JobOutcome.Failure(PermanentError("the result cannot be sent", cause: error)))))
    }
  }

  private func tell(_ progress: JobProgress) async throws {
    let refusal = await withCheckedContinuation { continuation in
      let number = state.withLock { state in
        state.reports += 1
        state.waiting[state.reports] = continuation
        return state.reports
      }
      send(.progress(number: number, percent: progress.percent, message: progress.message))
    }
    if let refusal { throw NuvomError(NuvomError.Code(rawValue: refusal.code), refusal.message) }
  }

  // MARK: Reports

  private func send(_ report: ChildReport) {
    do { try write(report) } catch { Self.leave("a report cannot be sent: \(error)") }
  }

  /// Nobody is left to be told that the worker reads no more: the thread that listens ends the process.
  private func write(_ report: ChildReport) throws {
    let frame = try ChildFrame.encode(report)
    writing.withLock { _ in
      _ = frame.withUnsafeBytes { StandardStreams.write($0, to: channel.output) }
    }
  }
}

extension JobOutcome.Failure {
  fileprivate init(_ error: any Error) {
    let reason = AttemptFailure(error, in: WorkerConfiguration()).reason
    type = reason.type
    message = reason.message
    trace = reason.trace
    delay = reason.delay
    retry = reason.retry
  }
}
