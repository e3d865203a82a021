import MessagePack
import NuvomTasks
import Synchronization
import Testing

struct TaskDefinitionTests {
  @Test("A task is called as a function, here and now")
  func direct() async throws {
    let add = TaskDefinition("add") { (a: Int, b: Int) in a + b }
    #expect(try await add(2, 3) == 5)
  }

  @Test("A job carries its task's policy and its own options")
  func policy() throws {
    let policy = TaskPolicy(
      queue: "images", priority: 1, retries: 4, retryDelay: .seconds(7), timeout: .seconds(9), retention: .seconds(60),
      lease: .seconds(11), tags: ["a"])
    let task = TaskReference<Arguments<String>, Int>("t", policy)
    let options = JobOptions(
      start: .after(.seconds(1)), expiry: .at(millisecondsSince1970: 5), uniqueKey: Job.UniqueKey("k"),
      headers: ["h": "v"])
    let job = try task.job("x", options: options)
    #expect(job.task == "t" && job.queue == "images" && job.priority == 1 && job.maximumAttempts == 5)
    #expect(job.backoff == .fixed(.seconds(7), jitterPercent: 0))
    #expect(job.timeout == .seconds(9) && job.retention == .seconds(60) && job.lease == .seconds(11))
    #expect(job.tags == ["a"] && job.headers == ["h": "v"])
    #expect(job.start == .after(.seconds(1)) && job.expiry == .at(millisecondsSince1970: 5))
    #expect(job.uniqueKey == Job.UniqueKey("k"))
    #expect(try task.with { $0.priority = 9 }.job("x").priority == 9)
  }

  @Test("A retry delay of zero means at once, not the default")
  func zeroDelay() {
    #expect(TaskPolicy(retryDelay: .zero).backoff == .fixed(.zero, jitterPercent: 0))
  }

  @Test(
    "A policy that would mean something else on the wire is refused",
    arguments: [
      TaskPolicy(timeout: .zero), TaskPolicy(timeout: .seconds(-1)), TaskPolicy(retries: -1),
      TaskPolicy(retries: 65_535),
    ])
  func refused(policy: TaskPolicy) {
    let error = #expect(throws: NuvomError.self) { try TaskReference<Arguments<Int>, Int>("t", policy).job(1) }
    #expect(error?.code == .badParameters)
  }

  @Test("Hooks see the job before, after and when it fails, and their errors change nothing")
  func hooks() async throws {
    struct Broken: Error {}
    let seen = Mutex<[String]>([])
    let note: @Sendable (String) -> Void = { text in seen.withLock { $0.append(text) } }
    let hooks = TaskHooks<Int>(
      beforeJob: {
        note("before"); throw Broken()
      },
      afterJob: {
        note("after \($0)"); throw Broken()
      },
      onError: {
        note("error \($0)"); throw Broken()
      })
    let task = TaskDefinition("t", hooks: hooks) { (number: Int) in
      note("run")
      return number + 1
    }
    let payload = try task.job(1).payload
    let result = try await task.run(payload: payload, hookFailed: { name, _ in note("\(name) failed") })
    #expect(try MessageValue(decoding: result) == 2)
    await task.failed(PermanentError("no"), hookFailed: { name, _ in note("\(name) failed") })
    #expect(
      seen.withLock { $0 } == [
        "before", "beforeJob failed", "run", "after 2", "afterJob failed", "error no", "onError failed",
      ])
  }

  @Test("A task that returns nothing has nil as its result, and nil is a result")
  func nothing() async throws {
    let silent = TaskDefinition("t") { (_: Int) in }
    let absent = TaskDefinition("t") { (_: Int) -> String? in nil }
    for task in [silent, absent] as [any RunnableTask] {
      let result = try await task.run(payload: silent.job(1).payload, hookFailed: { _, _ in })
      #expect(result == [0xC0])
    }
  }

  @Test("The context of a producer travels in headers, and what is not set does not")
  func context() throws {
    let context = PropagatedContext(request: "r", tenant: "acme", locale: "de")
    let job = try PropagatedContext.$current.withValue(context) {
      try TaskReference<Arguments<Int>, Int>("t").job(1, options: JobOptions(headers: ["locale": "fr"]))
    }
    #expect(job.headers == ["request_id": "r", "tenant_id": "acme", "locale": "fr"])
    #expect(PropagatedContext(headers: job.headers).locale == "fr")
    #expect(PropagatedContext(headers: context.headers) == context)
  }

  @Test("Without a client there is an error that says what to do")
  func noClient() async {
    let error = await #expect(throws: NuvomError.self) {
      try await TaskReference<Arguments<Int>, Int>("t").delay(1)
    }
    #expect(error?.message.contains("withClient") == true)
  }
}
