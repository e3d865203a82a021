import NuvomCommandLine
import Foundation
import Glibc
import MessagePack
import Testing

@testable import nuvom

struct WorkerPackageTests {
  /// A description with these products and targets.
  private func package(
    products: [(name: String, kind: String, target: String)], targets: [(name: String, depends: [String])]
  ) throws -> WorkerPackage {
    let products = products.map {
      ["name": $0.name, "targets": [$0.target], "type": [$0.kind: NSNull()]] as [String: Any]
    }
    let targets = targets.map { target -> [String: Any] in
      let (own, others) = (
        target.depends.filter { !$0.hasPrefix("Nuvom") }, target.depends.filter { $0.hasPrefix("Nuvom") }
      )
      return [
        "name": target.name, "path": "Sources/\(target.name)", "type": target.name == "tests" ? "test" : "executable",
        "target_dependencies": own, "product_dependencies": others,
      ]
    }
    let description: [String: Any] = ["name": "shop", "path": "/shop", "products": products, "targets": targets]
    return try WorkerPackage.read([UInt8](try JSONSerialization.data(withJSONObject: description)))
  }

  @Test("The worker is the executable that depends on the worker's command, by itself or by its own libraries")
  func choice() throws {
    let package = try package(
      products: [("web", "executable", "web"), ("jobs", "executable", "jobs"), ("tasks", "library", "tasks")],
      targets: [
        ("web", ["tasks"]), ("jobs", ["main"]), ("main", ["tasks", "NuvomWorkerCommand"]), ("tasks", ["NuvomTasks"]),
        ("tests", ["main"]),
      ])
    #expect(try package.worker(named: nil) == "jobs")
    #expect(try package.worker(named: "web") == "web")
    #expect(package.sourceDirectories == ["web", "jobs", "main", "tasks"].map { "/shop/Sources/\($0)" })
  }

  @Test("Who links the worker without its command is one, too, where nobody has the command")
  func ownMain() throws {
    let targets: [(name: String, depends: [String])] = [
      ("a", ["NuvomWorker"]), ("b", ["NuvomWorkerCommand"]), ("c", []),
    ]
    let both = try package(products: [("a", "executable", "a"), ("b", "executable", "b")], targets: targets)
    #expect(try both.worker(named: nil) == "b")
    let one = try package(products: [("a", "executable", "a"), ("c", "executable", "c")], targets: targets)
    #expect(try one.worker(named: nil) == "a")
  }

  @Test("Several workers, none, or one that is not there: the error says what there is")
  func refusals() throws {
    let several = try package(
      products: [("a", "executable", "a"), ("b", "executable", "b"), ("c", "library", "c")],
      targets: [("a", ["NuvomWorker"]), ("b", ["NuvomWorker"]), ("c", ["NuvomWorker"])])
    for (package, name, words) in [
      (several, nil, "a, b; name one with --product"), (several, "c", "no executable product c; it has a, b"),
      (try package(products: [("x", "executable", "x")], targets: [("x", [])]), nil, "--product: x"),
      (try package(products: [], targets: []), nil, "it has none"),
    ] as [(WorkerPackage, String?, String)] {
      let failure = try #require(throws: Failure.self) { try package.worker(named: name) }
      #expect(failure.status == .usage && failure.message.contains(words), "\(failure)")
    }
    #expect(throws: Failure.self) { try WorkerPackage.read([UInt8]("{}".utf8)) }
  }

  @Test("Sources that changed are built when they have come to rest, each state once")
  func watch() {
    func sources(_ sizes: UInt64...) -> SourceSnapshot {
      let stamps = sizes.enumerated().map {
        ("\($0)", SourceSnapshot.Stamp(size: $1, changed: Date(timeIntervalSince1970: 1)))
      }
      return SourceSnapshot(files: Dictionary(stamps) { $1 })
    }
    var watch = SourceWatch(built: sources(1))
    let looks: [(SourceSnapshot, Bool)] = [
      (sources(1), false), (sources(2), false), (sources(2, 1), false), (sources(2, 1), true), (sources(2, 1), false),
      (sources(3), false), (sources(2, 1), false), (sources(2, 1), false), (sources(), false), (sources(), true),
    ]
    for (look, isDue) in looks { #expect(watch.look(look) == isDue) }
  }

  @Test("A look at sources sees what is changed, made or deleted, and nothing hidden")
  func snapshot() throws {
    let workspace = try Workspace()
    for directory in ["Sources/a", "Sources/.git", "Tests"] {
      try FileManager.default.createDirectory(atPath: workspace.file(directory), withIntermediateDirectories: true)
    }
    let look = { SourceSnapshot(package: workspace.path, directories: [workspace.file("Sources")]) }
    var last = look()
    let changes: [(String, Bool)] = [
      ("Package.swift", true), ("Sources/a/x.swift", true), ("Sources/.git/index", false), ("Sources/a/.x.swp", false),
      ("Tests/t.swift", false), ("README", false),
    ]
    for (name, isSeen) in changes {
      try workspace.write("text", to: name)
      #expect((look() != last) == isSeen, "\(name)")
      last = look()
    }
    try workspace.write("other text", to: "Sources/a/x.swift")
    #expect(look() != last)
    last = look()
    try FileManager.default.removeItem(atPath: workspace.file("Sources/a/x.swift"))
    #expect(look() != last)
  }
}

extension ProgramTests {
  /// A package whose `swift` is a script: describing and building are told, and take no time.
  @Suite struct PackageWorkerTests {
    private let workspace: Workspace
    private let events: NamedPipe

    init() throws {
      workspace = try Workspace()
      events = try NamedPipe(workspace, "events")
      for directory in ["bin", "Sources"] {
        try FileManager.default.createDirectory(atPath: workspace.file(directory), withIntermediateDirectories: true)
      }
      try workspace.write("// manifest", to: "Package.swift")
      try workspace.write("first", to: "Sources/main.swift")
      try workspace.write(
        """
        #!/bin/sh
        case "$*" in
        "package describe --type json")
          echo '{"name": "p", "path": "\(workspace.path)", "products": [{"name": "jobs", "targets": ["main"], "type": {"executable": null}}],
            "targets": [{"name": "main", "path": "Sources", "type": "executable", "product_dependencies": ["NuvomWorkerCommand"]}]}';;
        "build --configuration "*" --show-bin-path") echo "\(workspace.path)/built-$3";;
        "build --configuration "*" --product jobs")
          word=$(cat Sources/main.swift)
          if [ $word = broken ]; then echo "not built" > events; echo "error: broken"; exit 1; fi
          mkdir -p built-$3; printf '#!/bin/sh\\nword=%s\\n. ./worker\\n' $word > built-$3/jobs; chmod +x built-$3/jobs
          echo "built $3" > events;;
        *) echo "unexpected: $*" > events; exit 1;;
        esac
        """, to: "bin/swift")
      chmod(workspace.file("bin/swift"), 0o700)
      try workspace.write(
        """
        trap 'echo "stopped $word" > events; exit 3' TERM
        echo "started $word $* at $NUVOM_CONNECT" > events
        while :; do sleep 1 & wait $!; done
        """, to: "worker")
    }

    private var environment: [String: String] {
      ["PATH": "\(workspace.file("bin")):" + (ProcessInfo.processInfo.environment["PATH"] ?? "")]
    }

    private func start(_ arguments: [String]) throws -> RunningWorker {
      try RunningWorker(workspace, arguments, environment: environment)
    }

    @Test("The package's worker is built, and then is the process: with its arguments, its signals and its exit status")
    func becomes() throws {
      let worker = try start(["--connect", "127.0.0.1:9", "-c", "release", "--", "--queue", "mail"])
      #expect(try events.line() == "built release")
      #expect(try events.line() == "started first --queue mail at 127.0.0.1:9", "\(worker.log)")
      #expect(worker.end(SIGTERM) == 3)
      #expect(try events.line() == "stopped first")
    }

    @Test(
      "For development it is built and started again when sources change; one that does not build leaves the last one running"
    )
    func develops() throws {
      let worker = try start(["--dev"])
      #expect(try [events.line(), events.line()] == ["built debug", "started first  at "], "\(worker.log)")
      try workspace.write("second", to: "Sources/main.swift")
      #expect(
        try [events.line(), events.line(), events.line()] == ["built debug", "stopped first", "started second  at "])
      try workspace.write("broken", to: "Sources/main.swift")
      #expect(try events.line() == "not built")
      try workspace.write("third", to: "Sources/main.swift")
      // That it was not stopped before is what shows that it went on.
      #expect(
        try [events.line(), events.line(), events.line()] == ["built debug", "stopped second", "started third  at "])
      #expect(worker.end(SIGTERM) == 0, "\(worker.log)")
      #expect(try events.line() == "stopped third")
      #expect(worker.log.contains("jobs does not build: the one that is running goes on"))
    }

    @Test("What does not build, is not there, or has no Package.swift ends with its status")
    func failures() throws {
      try workspace.write("broken", to: "Sources/main.swift")
      let broken = try workspace.nuvom(["runworker"], environment: environment)
      #expect(
        broken.status == 65 && broken.error.contains("error: broken\n") && broken.error.contains("jobs does not build"))
      #expect(try workspace.nuvom(["runworker", "--product", "web"], environment: environment).status == 64)
      let nowhere = try Workspace().nuvom(["runworker"], environment: environment)
      #expect(nowhere.status == 66 && nowhere.error.contains("--exec"), "\(nowhere)")
      let swiftless = try workspace.nuvom(["runworker"], environment: ["PATH": workspace.path])
      #expect(swiftless.status == 66 && swiftless.error.contains("swift.org"), "\(swiftless)")
    }

    @Test("A job from a file is run by the package's worker")
    func test() throws {
      try workspace.write("echo \"$*\"; exit 1", to: "worker")
      try workspace.write("{}", to: "job.json")
      let ended = try workspace.nuvom(["runtestworker", "run", "job.json"], environment: environment)
      #expect(ended.status == 1 && ended.output == "test \(workspace.path)/job.json --no-wait\n", "\(ended)")
      #expect(try workspace.nuvom(["runtestworker", "run", "none.json"], environment: environment).status == 66)
    }

    @Test("The worker's own command line takes what it is told of a job from a file")
    func realWorker() throws {
      let worker = try Program.executable.deletingLastPathComponent().appendingPathComponent("worker-under-test").path
      try workspace.write("exec \(worker) \"$@\"", to: "worker")
      let job = #"{"func_name": "echo", "args": ["Ada"], "timeout_secs": 60, "retries": null}"#
      try workspace.write(job, to: "job.json")
      let run = { (arguments: [String]) in
        try workspace.nuvom(["runtestworker", "run"] + arguments, environment: environment, input: job)
      }
      for file in ["job.json", "-"] {
        let ended = try run([file, "--connect", "127.0.0.1:9"])
        #expect(ended.status == 0 && ended.output.contains("✅ SUCCESS: \"Ada\"\nattempts  1\n"), "\(ended)")
        let json = try run([file, "--json"])
        #expect(json.output.contains(#"{"status":"SUCCESS","attempts":1,"result":"Ada""#), "\(json)")
      }
    }
  }
}
