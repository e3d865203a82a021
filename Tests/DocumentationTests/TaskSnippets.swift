import NuvomTasks

// The code of NuvomTasks' pages. It is compiled, not run.

private let publish = TaskReference<Arguments<String>, NoValue>("publish")

@Sendable private func scale(_ path: String, to width: Int) throws {}

func taskOverview() async throws {
  // snippet Sources/Client/NuvomTasks/NuvomTasks.docc/NuvomTasks.md
  let greet = TaskDefinition("greet", .init(retries: 3, timeout: .seconds(10))) { (name: String) in
    "hello \(name)"
  }

  try await NuvomClient.withClient { _ in
    let job = try await greet.delay("Ada")
    print(try await job.result())

    let jobs = try await greet.map(["Grace", "Katherine"])
    print(try await jobs.results())
  }
  // end snippet
}

func taskReference() async throws {
  // snippet Sources/Client/NuvomTasks/NuvomTasks.docc/NuvomTasks.md
  let greet = TaskReference<Arguments<String>, String>("greet", .init(retries: 3))
  let job = try await greet.delay("Ada")
  // end snippet
  _ = job
}

func taskSchedule() async throws {
  let greet = TaskReference<Arguments<String>, String>("greet")
  // snippet Sources/Client/NuvomTasks/NuvomTasks.docc/NuvomTasks.md
  try await greet.schedule("Ada", cron: "0 9 * * mon-fri", timeZone: "Europe/Berlin", named: "greet.ada")
  // end snippet
}

func taskHandler() {
  // snippet Sources/Client/NuvomTasks/NuvomTasks.docc/NuvomTasks.md
  let resize = TaskDefinition("resize") { (path: String, widths: [Int]) in
    let context = JobContext.current
    for (index, width) in widths.enumerated() {
      try await context?.report(percent: 100 * index / widths.count, "width \(width)")
      try scale(path, to: width)
    }
    context?.enqueueWithAck(try publish.job(path))
  }
  // end snippet
  _ = resize
}
