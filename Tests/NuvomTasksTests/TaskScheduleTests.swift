import NuvomTasks
import Testing

struct TaskScheduleTests {
  private let greet = TaskReference<Arguments<String, Int>, String>(
    "greet",
    TaskPolicy(
      queue: "mail", priority: 1, retries: 4, timeout: .seconds(9), retention: .seconds(60), lease: .seconds(11),
      tags: ["a"]))

  @Test("A schedule's job has the task's policy and arguments, and starts with each fire")
  func job() throws {
    let job = try greet.scheduleDefinition("Ada", 3, times: .every(.seconds(5))).job
    #expect(try job == greet.job("Ada", 3))
    #expect(job.start == nil && job.expiry == nil && job.uniqueKey == nil && job.queue == "mail")
  }

  @Test("Options go with the schedule")
  func options() throws {
    let options = ScheduleOptions(
      startAtMilliseconds: 1, endAtMilliseconds: 2, maximumFires: 3, jitter: .seconds(4), misfire: .all,
      catchUp: .seconds(5), overlap: .bufferOne, expiry: .seconds(6), headers: ["h": "v"], metadata: ["m": "x"],
      retention: .seconds(7))
    let schedule = try greet.scheduleDefinition(
      "Ada", 3, times: .cron("@daily", timeZone: "Asia/Tokyo", gap: .skip, fold: .last), named: "s", options: options)
    var wanted = Schedule(
      "s", .cron("@daily", timeZone: "Asia/Tokyo", gap: .skip, fold: .last), job: try greet.job("Ada", 3))
    wanted.job.expiry = .after(.seconds(6))
    wanted.job.headers = ["h": "v"]
    (wanted.startAtMilliseconds, wanted.endAtMilliseconds, wanted.maximumFires) = (1, 2, 3)
    (wanted.jitter, wanted.misfire, wanted.catchUp) = (.seconds(4), .all, .seconds(5))
    (wanted.overlap, wanted.metadata, wanted.retention) = (.bufferOne, ["m": "x"], .seconds(7))
    #expect(schedule == wanted)
  }

  @Test(
    "A schedule with a name is known for a week when it has finished; one without has a name of its own and is forgotten"
  )
  func names() throws {
    let named = try greet.scheduleDefinition("Ada", 3, times: .in(.zero), named: "s")
    #expect(named.name == "s" && named.retention == .seconds(604_800))
    let unnamed = try (0..<100).map { _ in try greet.scheduleDefinition("Ada", 3, times: .in(.zero)) }
    #expect(Set(unnamed.map(\.name)).count == 100)
    #expect(unnamed.allSatisfy { $0.name.utf8.count == 32 && $0.retention == .zero })
    let kept = try greet.scheduleDefinition(
      "Ada", 3, times: .in(.zero), options: ScheduleOptions(retention: .seconds(1)))
    #expect(kept.retention == .seconds(1))
  }

  @Test("On whose behalf it is travels with each job, and the headers given")
  func context() throws {
    let context = PropagatedContext(tenant: "acme", locale: "de")
    let schedule = try PropagatedContext.$current.withValue(context) {
      try greet.scheduleDefinition("Ada", 3, times: .in(.zero), options: ScheduleOptions(headers: ["locale": "fr"]))
    }
    #expect(schedule.job.headers == ["tenant_id": "acme", "locale": "fr"])
  }

  @Test("A policy that would mean something else on the wire is refused")
  func policy() {
    let task = greet.with { $0.timeout = .zero }
    let error = #expect(throws: NuvomError.self) { try task.scheduleDefinition("Ada", 3, times: .in(.zero)) }
    #expect(error?.code == .badParameters)
  }

  @Test("Without a client there is an error that says what to do")
  func noClient() async {
    let error = await #expect(throws: NuvomError.self) { try await greet.schedule("Ada", 3, in: .zero) }
    #expect(error?.message.contains("withClient") == true)
  }
}
