import Glibc
import NuvomWorker
import Testing

/// The real worker with real processes, of a real broker.
@Suite("A worker with its jobs in processes", .serialized, .timeLimit(.minutes(2)))
struct ProcessTests {
  static let isolated = ["--isolation", "process"]

  @Test("takes the jobs of all its tasks, and results, errors, headers and the broker reach as they do in one process")
  func ordinary() async throws {
    try await withWorkerProcess(Self.isolated) { client, _ in
      #expect(try await echo.delay("hello").result() == "hello")
      let failure = await #expect(throws: JobFailure.self) { try await fails.delay("bread").result() }
      #expect(failure?.reason == .rejected && failure?.type == "PermanentError" && failure?.message == "no bread")
      var context = PropagatedContext()
      context.tenant = "acme"
      let answers = try await PropagatedContext.$current.withValue(context) {
        try await asks.with { $0.timeout = .seconds(60) }.delay("there").result()
      }
      #expect(answers == ["there", "acme", "true"])
    }
  }

  @Test("carries the worker's trace into the process")
  func trace() async throws {
    try await withWorkerProcess(Self.isolated) { _, _ in
      let job = try await traced.delay(1, options: JobOptions(headers: ["passed": "a trace"]))
      let trace = try await job.result()
      #expect(trace == "a trace, passed on")
    }
  }

  @Test("uses a process again, and has no more than jobs run at once")
  func reuse() async throws {
    try await withWorkerProcess(Self.isolated + ["--concurrency", "1"]) { _, worker in
      let group = try await slow.map(Array(0..<20))
      #expect(try await group.results() == Array(0..<20))
      var processes: Set<pid_t> = []
      for _ in 0..<20 { processes.insert(try await worker.notes.next().process) }
      #expect(processes.count == 1 && !processes.contains(worker.pid))
    }
  }

  @Test(
    "counts a crash as an attempt, tells the signal, and ends the job after its last; its neighbours have their first")
  func crashed() async throws {
    try await withWorkerProcess(Self.isolated + ["--concurrency", "2"]) { client, worker in
      let opening = try worker.gate()
      let neighbour = try await gate.delay(opening.path)
      #expect(try await worker.notes.next().what == "gate")

      let job = try await crash.delay(Int(SIGSEGV))
      let failure = await #expect(throws: JobFailure.self) { try await job.result() }
      #expect(failure?.reason == .failed)
      #expect(failure?.errors.map(\.attempt) == [1, 2, 3])
      for error in failure?.errors ?? [] {
        #expect(error.type == "WorkerCrashed")
        #expect(error.message == "the process that ran the job was ended by SIGSEGV (signal 11)")
        #expect(error.trace.contains("about to crash"))
      }
      var notes: [String] = []
      for _ in 0..<6 {
        let note = try await worker.notes.next()
        notes.append("\(note.what) \(note.process == worker.pid ? "in the worker" : "in the process") \(note.attempt)")
      }
      let expected = (1...3).flatMap { ["crash in the process \($0)", "hook WorkerCrashed in the worker \($0)"] }
      #expect(notes.sorted() == expected.sorted())

      opening.open()
      #expect(try await neighbour.result() == 1)
      #expect(try await echo.delay("still here").result() == "still here")
    }
  }

  @Test("tells what Swift said when a process trapped, and the status of one that exited")
  func otherEnds() async throws {
    try await withWorkerProcess(Self.isolated) { client, _ in
      let trapped = await #expect(throws: JobFailure.self) { try await trap.delay(7).result() }
      #expect(trapped?.type == "WorkerCrashed" && trapped?.trace.contains("Index out of range") == true)
      let exited = await #expect(throws: JobFailure.self) { try await exits.delay(3).result() }
      #expect(exited?.message == "the process that ran the job exited with status 3 before the job was done")
    }
  }

  @Test("kills what hangs when its timeout has passed, with all that it started, and its slot goes on")
  func hanging() async throws {
    try await withWorkerProcess(Self.isolated + ["--concurrency", "1"]) { client, worker in
      let life = try worker.life()
      let job = try await hang.with { $0.timeout = .seconds(1) }.delay(life.path)
      let next = try await echo.delay("next")
      #expect(try await worker.notes.next().what == "hang")
      await life.end()
      let failure = await #expect(throws: JobFailure.self) { try await job.result() }
      #expect(failure?.type == "Timeout" && failure?.errors.count == 1)
      #expect(try await next.result() == "next")
      let hook = try await worker.notes.next()
      #expect(hook.what == "hook JobTimedOut" && hook.process == worker.pid)
    }
  }

  @Test("stops a job that was cancelled, also one that does not heed it")
  func cancelled() async throws {
    try await withWorkerProcess(Self.isolated + ["--concurrency", "1", "--lease", "1s"]) { client, worker in
      let life = try worker.life()
      let job = try await hang.delay(life.path)
      #expect(try await worker.notes.next().what == "hang")
      #expect(try await job.cancel())
      await life.end()
      #expect(try await echo.delay("next").result() == "next")

      let idling = try await idle.delay(1)
      let process = try await worker.notes.next().process
      #expect(try await idling.cancel())
      // What heeds it ends by itself, and its process has the next job.
      _ = try await slow.delay(1).result()
      #expect(try await worker.notes.next().process == process)
    }
  }

  @Test("loses the one job whose memory grows beyond the limit, and no other")
  func memory() async throws {
    try await withWorkerProcess(Self.isolated + ["--concurrency", "2", "--memory-limit", "64MiB"]) { client, worker in
      let opening = try worker.gate()
      let neighbour = try await gate.delay(opening.path)
      #expect(try await worker.notes.next().what == "gate")
      let failure = await #expect(throws: JobFailure.self) {
        try await grow.with { $0.retries = 0 }.delay(1).result()
      }
      #expect(failure?.type == "WorkerCrashed")
      opening.open()
      #expect(try await neighbour.result() == 1)
    }
  }

  @Test("gives a job back, its attempt not counted, if no process can be started for it")
  func notStarted() async throws {
    try await withWorkerProcess(Self.isolated, environment: ["WORKER_UNDER_TEST": "ends before it serves"]) {
      client, worker in
      let job = try await echo.with { $0.retries = 0 }.delay("never")
      // The worker says so when it gave up; the job is released right after that.
      var status = try await job.status()
      while status.state != .delayed { status = try await job.status() }
      #expect(status.errors.isEmpty && status.attempt <= 1)
      worker.signal(SIGTERM)
      #expect(await worker.end() == 0)
      #expect(try worker.log.contains("no process could be started for a job"))
      #expect(try worker.log.contains("it exited with status 9"))
    }
  }

  @Test("does not take what is printed for what a job says")
  func printing() async throws {
    try await withWorkerProcess(Self.isolated) { client, worker in
      let printed = try await prints.delay(3_000).result()
      #expect(printed == 3_000)
      #expect(try await echo.delay("next").result() == "next")
      worker.signal(SIGTERM)
      #expect(await worker.end() == 0)
      #expect(try worker.log.contains("line 2999") && worker.log.contains("printed before the worker begins"))
    }
  }

  @Test("relays progress, and enqueues with the ack")
  func relays() async throws {
    try await withWorkerProcess(Self.isolated) { client, worker in
      let opening = try worker.gate()
      let job = try await gate.delay(opening.path)
      #expect(try await worker.notes.next().what == "gate")
      let progress = try await job.status().progress
      #expect(progress?.percent == 50 && progress?.message == "half")
      opening.open()
      _ = try await job.result()

      _ = try await family.delay("a").result()
      // The child's own note: it was enqueued, and it ran.
      #expect(try await worker.notes.next().what == "hook PermanentError")
      #expect(try await client.queue("default").totals.enqueued == 3)
    }
  }

  @Test("fails no job by its hooks' errors")
  func hooks() async throws {
    try await withWorkerProcess(Self.isolated) { client, worker in
      let result = try await unhooked.delay(7).result()
      #expect(result == 7)
      worker.signal(SIGTERM)
      #expect(await worker.end() == 0)
      #expect(try worker.log.contains("beforeJob") && worker.log.contains("afterJob"))
    }
  }

  @Test("lets what runs finish when it is stopped, and ends its processes")
  func drained() async throws {
    try await withWorkerProcess(Self.isolated + ["--grace", "60s"]) { client, worker in
      let opening = try worker.gate()
      let job = try await gate.delay(opening.path)
      #expect(try await worker.notes.next().what == "gate")
      worker.signal(SIGTERM)
      opening.open()
      #expect(await worker.end() == 0)
      #expect(try await job.status().state == .succeeded)
    }
  }

  @Test("gives back what does not finish when it is stopped, the attempts not counted")
  func released() async throws {
    try await withWorkerProcess(Self.isolated + ["--grace", "0"]) { client, worker in
      let life = try worker.life()
      let jobs = [try await idle.delay(1).id, try await hang.delay(life.path).id]
      for _ in jobs { _ = try await worker.notes.next() }
      worker.signal(SIGTERM)
      await life.end()
      #expect(await worker.end() == 0)
      let again = try await client.dequeue(maximum: 10).jobs
      #expect(Set(again.map(\.id)) == Set(jobs))
      #expect(again.allSatisfy { $0.attempt == 1 })
    }
  }

  @Test("takes its processes with it when it is killed")
  func killed() async throws {
    try await withWorkerProcess(Self.isolated) { client, worker in
      let life = try worker.life()
      _ = try await hang.delay(life.path)
      #expect(try await worker.notes.next().what == "hang")
      worker.signal(SIGKILL)
      await life.end()
    }
  }

  @Test("loses no job, and runs none again that was acked, when its processes are killed at random")
  func random() async throws {
    try await withWorkerProcess(Self.isolated + ["--concurrency", "4"]) { client, worker in
      let count = 200
      let group = try await slow.with {
        $0.retries = 100
        $0.backoff = .fixed(.zero)
      }.map(Array(0..<count))
      let notes = Task {
        var runs = 0
        var kills = 0
        // Every note is the beginning of an attempt; every fifth costs the process its life, wherever it is by then.
        while let note = try? await worker.notes.next(), note.what.hasPrefix("slow ") {
          runs += 1
          if runs.isMultiple(of: 5), kill(note.process, SIGKILL) == 0 { kills += 1 }
        }
        return (runs, kills)
      }
      #expect(try await group.results() == Array(0..<count))
      var attempts = 0
      for handle in group {
        let status = try await handle.status()
        attempts += status.attempt
        #expect(status.errors.allSatisfy { $0.type == "WorkerCrashed" && $0.message.contains("SIGKILL") })
      }
      // A note that is none ends the counting.
      _ = try await fails.delay("more").status()
      let (runs, kills) = await notes.value
      #expect(kills > 0)
      // An attempt may die before it says anything, never after the last.
      #expect(runs <= attempts && attempts <= count + kills)
      #expect(try await client.queue("default").totals.acked == count)
    }
  }
}

// What the worker under test has; see there.
private let echo = TaskReference<Arguments<String>, String>("echo")
private let crash = TaskReference<Arguments<Int>, String>("crash", .init(retries: 2, retryDelay: .zero))
private let trap = TaskReference<Arguments<Int>, Int>("trap", .init(retries: 0))
private let exits = TaskReference<Arguments<Int>, String>("exits", .init(retries: 0))
private let hang = TaskReference<Arguments<String>, String>("hang", .init(retries: 0))
private let grow = TaskReference<Arguments<Int>, Int>("grow")
private let prints = TaskReference<Arguments<Int>, Int>("prints")
private let gate = TaskReference<Arguments<String>, Int>("gate")
private let idle = TaskReference<Arguments<Int>, NoValue>("idle")
private let family = TaskReference<Arguments<String>, NoValue>("family")
private let asks = TaskReference<Arguments<String>, [String]>("asks")
private let fails = TaskReference<Arguments<String>, String>("fails")
private let unhooked = TaskReference<Arguments<Int>, Int>("unhooked")
private let slow = TaskReference<Arguments<Int>, Int>("slow")
private let traced = TaskReference<Arguments<Int>, String>("traced")
