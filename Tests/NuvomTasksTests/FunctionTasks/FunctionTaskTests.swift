#if Macros
  import MessagePack
  import NuvomTasks
  import Testing

  /// What `@NuvomTask` makes of the functions in Tasks.swift.
  struct FunctionTaskTests {
    private func payload(_ job: Job) throws -> MessageValue { try MessageValue(decoding: job.payload) }

    private func run(_ task: any RunnableTask, _ payload: MessageValue) async throws -> MessageValue {
      let result = try await task.run(
        payload: payload.encoded(), hookFailed: { name, _ in Issue.record("\(name) failed") })
      return try MessageValue(decoding: result)
    }

    @Test("A task is called by the function's labels, and runs here and now")
    func inline() async throws {
      #expect(try await plainSumTask(a: 2, b: 3) == 5)
      #expect(try await resizeTask("p", sharp: true) == "p 80xauto true")
      #expect(try await resizeTask("p", to: 9, height: 4, sharp: false) == "p 9x4 false")
      try await nothingTask()
      await #expect(throws: PermanentError.self) { try await throwingTask("x") }
      await #expect(throws: PermanentError.self) { try await resizeTask("p", to: 0, sharp: true) }
      #expect(try await onMainActorTask(4) == 4)
      #expect(try await repeatTask(default: 2, in: 3) == 6)
      #expect(try await mapTask(delay: 1, job: 2) == 3)
      #expect(try await definitionTask(input: 5, on: 3) == 2)
      #expect(try await Images.areaTask(of: Images.Input(side: 2)) == Images.Output(area: 12))
      #expect(try await Screen.showTask(text: "four") == 4)
      #expect(try await Store.kept("x") == "x")
    }

    @Test("Arguments with a label travel by name, those without by position, defaults as if they were given")
    func payloads() throws {
      #expect(try payload(plainSumTask.job(a: 2, b: 3)) == ["args": [], "kwargs": ["a": 2, "b": 3]])
      #expect(
        try payload(resizeTask.job("p", sharp: true))
          == ["args": ["p"], "kwargs": ["to": 80, "height": nil, "sharp": true]])
      #expect(try payload(nothingTask.job()) == ["args": [], "kwargs": [:]])
      #expect(try payload(repeatTask.job(default: 1, in: 2)) == ["args": [], "kwargs": ["default": 1, "in": 2]])
      #expect(try payload(labelledFirstTask.job(first: 1, 2)) == ["args": [2], "kwargs": ["first": 1]])
      #expect(try payload(hiddenJob(["x": 1])) == ["args": [], "kwargs": ["value": ["x": 1]]])
      #expect(try payload(unusedJob()) == ["args": [1], "kwargs": ["other": 2]])
      #expect(try payload(Images.Deep.job()) == ["args": [[["side": 1]]], "kwargs": [:]])
      #expect(
        try payload(Images.areaTask.job(of: .init(side: 2))) == [
          "args": [], "kwargs": ["of": ["side": 2], "times": 3],
        ])
    }

    @Test(
      "A payload of another language is bound as Python binds a call, with the function's defaults",
      arguments: [
        (["args": ["p"], "kwargs": ["sharp": true]], "p 80xauto true"),
        (["args": [], "kwargs": ["path": "p", "sharp": false]], "p 80xauto false"),
        (["args": ["p", 5], "kwargs": ["sharp": true]], "p 5xauto true"),
        (["args": ["p", 5, 6, true], "kwargs": [:]], "p 5x6 true"),
        (["args": ["p"], "kwargs": ["sharp": true, "height": nil, "to": 7]], "p 7xauto true"),
      ] as [(MessageValue, String)])
    func foreign(payload: MessageValue, output: String) async throws {
      #expect(try await run(resizeTask, payload) == .string(output))
    }

    @Test(
      "A payload that does not fit is refused, and the argument is named",
      arguments: [
        (["args": ["p"], "kwargs": [:]], "sharp is missing"),
        (["args": ["p"], "kwargs": ["sharp": 1]], "sharp is no Bool"),
        (["args": ["p"], "kwargs": ["sharp": true, "isSharp": true]], "no argument named isSharp"),
        (["args": ["p"], "kwargs": ["sharp": true, "path": "q"]], "path"),
        (["args": ["p", 1, 2, true, 3], "kwargs": [:]], "5 arguments were given by position"),
      ] as [(MessageValue, String)])
    func misfits(payload: MessageValue, message: String) async throws {
      let error = await #expect(throws: ArgumentError.self) { try await run(resizeTask, payload) }
      #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
    }

    @Test("A function that returns nothing has nil as its result")
    func noResult() async throws {
      #expect(try await run(nothingTask, ["args": [], "kwargs": [:]]) == .null)
    }

    @Test("Name and policy are the attribute's; what it does not say is the policy's default")
    func policy() throws {
      #expect(resizeTask.name == "images.resize" && nothingTask.name == "nothing" && nothingTask.policy == TaskPolicy())
      #expect(
        resizeTask.policy
          == TaskPolicy(queue: "images", retries: 4, timeout: .seconds(60), tags: ["image"]))
      let job = try resizeTask.job("p", sharp: true, options: JobOptions(uniqueKey: Job.UniqueKey("k")))
      #expect(job.task == "images.resize" && job.queue == "images" && job.uniqueKey == Job.UniqueKey("k"))
      #expect(try resizeTask.with { $0.priority = 1 }.job(.init("p", sharp: true)).priority == 1)
    }

    @Test("A schedule's job is called by the function's own labels, also those that schedules have")
    func schedules() throws {
      let schedule = try everyTask.scheduleDefinition(.init(in: 1, named: "x"), times: .every(.seconds(5)), named: "s")
      #expect(schedule.name == "s" && schedule.times == .every(.seconds(5)) && schedule.job.task == "every")
      #expect(try payload(schedule.job) == ["args": [], "kwargs": ["in": 1, "named": "x"]])
      // That this compiles is the test: nobody calls it.
      _ = {
        try await everyTask.schedule(in: 1, named: "x", in: .seconds(5), named: "s")
        try await everyTask.schedule(in: 1, named: "x", every: .seconds(5), named: "s")
      }
    }

    @Test("Inputs for map are made by the function's labels")
    func inputs() throws {
      func accepted<Task: EnqueueableTask>(_ task: Task, _ inputs: [Task.Input]) throws -> [MessageValue] {
        try inputs.map { try payload(task.job($0)) }
      }
      let jobs = try accepted(resizeTask, [.init("a", sharp: true), .init("b", to: 1, sharp: false)])
      #expect(jobs.map { $0["kwargs"]?["to"] } == [80, 1])
    }

    @Test("Hooks are called around the function")
    func hooks() async throws {
      #expect(try await run(hookedTask, ["kwargs": ["fail": false]]) == 7)
      await hookedTask.failed(PermanentError("e"), hookFailed: { _, _ in })
      #expect(Hooks.told.withLock { $0 } == ["before", "after 7", "error e"])
    }

    @Test("Tasks are found without being registered, each once, also private, static and actors' ones")
    func linked() async throws {
      let names = [
        "area", "deep", "definition", "every", "hidden", "hooked", "images.resize", "keep", "labelledFirst", "map",
        "nothing",
        "onMainActor", "plainSum", "repeat", "show", "throwing", "unused",
      ]
      // Other tests of the same executable have tasks, too.
      let found = linkedTasks().map(\.name)
      #expect(found.filter { names.contains($0) } == names && found == found.sorted())
      let task = try #require(linkedTasks().first { $0.name == "plainSum" })
      #expect(try await run(task, ["args": [1], "kwargs": ["b": 2]]) == 3)
    }
  }
#endif
