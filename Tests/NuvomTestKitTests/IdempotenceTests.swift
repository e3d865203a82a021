import NuvomTestKit
import NuvomWorker
import Testing

/// A database as tests have it: it can be interrupted where a real one waits.
private actor Accounts {
  private(set) var balance = 0
  private var done: Set<JobID> = []
  private var highestToken = LeaseToken(rawValue: 0)

  struct Stale: Error {}

  func add(_ amount: Int) async {
    await interruptionPoint()
    balance += amount
  }

  func read() async -> Int {
    await interruptionPoint()
    return balance
  }

  func write(_ value: Int) async {
    await interruptionPoint()
    balance = value
  }

  func isDone(_ id: JobID) async -> Bool {
    await interruptionPoint()
    return done.contains(id)
  }

  /// Amount and key in one step, as a transaction with a unique key.
  func add(_ amount: Int, once id: JobID) async {
    await interruptionPoint()
    if done.insert(id).inserted { balance += amount }
  }

  func write(_ value: Int, under token: LeaseToken) async throws {
    await interruptionPoint()
    if token < highestToken { throw Stale() }
    highestToken = token
    balance = value
  }

  func mark(_ id: JobID) async {
    await interruptionPoint()
    done.insert(id)
  }

  func clear() {
    balance = 0
    done = []
    highestToken = LeaseToken(rawValue: 0)
  }
}

struct IdempotenceTests {
  private static func faults(_ handler: @escaping @Sendable (Accounts, Int) async throws -> Void) async throws
    -> [DeliveryFault]
  {
    let accounts = Accounts()
    let task = TaskDefinition("book") { (amount: Int) in try await handler(accounts, amount) }
    do {
      try await checkIdempotence(
        of: task, 7, observe: { await accounts.balance }, reset: { await accounts.clear() })
      return []
    } catch let error as NotIdempotent {
      #expect(error.expected == "7")
      return error.findings.map(\.fault)
    }
  }

  @Test("A handler that counts is found out under every fault that lets it end twice")
  func counter() async throws {
    let accounts = Accounts()
    let task = TaskDefinition("count") { (amount: Int) in await accounts.add(amount) }
    do {
      try await checkIdempotence(of: task, 7, observe: { await accounts.balance }, reset: { await accounts.clear() })
      Issue.record("a counter passed")
    } catch let error as NotIdempotent {
      let faults = error.findings.map(\.fault)
      #expect(faults.starts(with: [.deliveredAgain, .ackLost, .crashedBeforeAck, .deliveredAtOnce]))
      // Interrupted before its only effect, it does it once after a crash, and twice when it goes on.
      #expect(faults.last == .overtaken(atPoint: 1))
      #expect(error.description.contains("task count is not idempotent. One clean run: 7"))
      #expect(error.findings[0].actual == "14")
    }
  }

  @Test("A handler whose effect and job id are one transaction passes")
  func keyed() async throws {
    #expect(
      try await Self.faults { accounts, amount in
        if let id = JobContext.current?.id { await accounts.add(amount, once: id) }
      } == [])
  }

  @Test("A handler that is fenced by its lease's token passes, though a stale write throws")
  func fenced() async throws {
    #expect(
      try await Self.faults { accounts, amount in
        if let token = JobContext.current?.token { try await accounts.write(amount, under: token) }
      } == [])
  }

  @Test("A handler that sets a value passes")
  func setter() async throws {
    #expect(try await Self.faults { accounts, amount in await accounts.write(amount) } == [])
  }

  @Test("A handler that looks and then acts is found out where a second worker comes between")
  func checkThenAct() async throws {
    let faults = try await Self.faults { accounts, amount in
      guard let id = JobContext.current?.id, await !accounts.isDone(id) else { return }
      await accounts.add(amount)
      await accounts.mark(id)
    }
    #expect(!faults.contains(.deliveredAgain) && !faults.contains(.ackLost))
    #expect(faults.contains(.deliveredAtOnce))
    // It looks, adds and marks. Stopped before it adds or marks, it adds a second time; dead between adding and marking, the other does.
    #expect(faults.contains(.overtaken(atPoint: 2)) && faults.contains(.crashed(atPoint: 3)))
    #expect(!faults.contains(.crashed(atPoint: 1)) && !faults.contains(.crashed(atPoint: 2)))
  }

  @Test("A second delivery that throws is found out, though nothing was written")
  func throwsAgain() async throws {
    struct Twice: Error {}
    let accounts = Accounts()
    let task = TaskDefinition("once") { (amount: Int) in
      guard let id = JobContext.current?.id else { return }
      if await accounts.isDone(id) { throw Twice() }
      await accounts.add(amount, once: id)
    }
    await #expect {
      try await checkIdempotence(of: task, 7, observe: { await accounts.balance }, reset: { await accounts.clear() })
    } throws: { error in
      let finding = (error as? NotIdempotent)?.findings.first
      return finding?.fault == .deliveredAgain && finding?.actual.contains("dead letter: Twice") == true
    }
  }

  @Test("A handler that enqueues another job is interrupted there, and found out unless the job has a key")
  func children() async throws {
    let child = TaskReference<Arguments<Int>, Int>("child")
    let notes = Notes()
    func faults(key: Bool) async throws -> [DeliveryFault] {
      let task = TaskDefinition("parent") { () in
        guard let id = JobContext.current?.id else { return }
        let options = JobOptions(uniqueKey: key ? .init("child of \(id)") : nil)
        let handle = try await child.delay(1, options: options)
        if !handle.isDuplicate { notes.add("child") }
      }
      do {
        try await checkIdempotence(of: task, observe: { notes.all.count }, reset: { notes.clear() })
        return []
      } catch let error as NotIdempotent {
        return error.findings.map(\.fault)
      }
    }
    #expect(try await faults(key: true) == [])
    #expect(try await faults(key: false).contains(.overtaken(atPoint: 1)))
  }

  @Test("A task that fails in its clean run is not judged")
  func failing() async throws {
    struct Broken: Error {}
    let task = TaskDefinition("broken") { () in throw Broken() }
    await #expect(throws: TestBrokerError.self) {
      try await checkIdempotence(of: task, observe: { 0 }, reset: {})
    }
  }
}
