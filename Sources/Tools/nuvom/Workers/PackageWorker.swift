import NuvomCommandLine
import Glibc
import Logging
import ServiceLifecycle
import Subprocess
import Synchronization

/// The worker of the Swift package in the working directory.
struct PackageWorker {
  private let product: String?
  private let configuration: BuildConfiguration
  private let arguments: [String]

  /// - Parameter broker: what was said of it here is the worker's environment.
  init(options: PackageOptions, arguments: [String], broker: Settings) throws {
    product = options.product
    configuration = options.configuration ?? .debug
    self.arguments = arguments
    let connect = broker[.connect]
    _ = try connect.read(ClientOptions.address)
    if connect.source != .standard { setenv(Setting.connect.variable, connect.text, 1) }
  }

  /// Builds it, and becomes it or, for development, runs it beside.
  func run(dev: Bool) async throws {
    let package = try await SwiftTool.describe()
    let product = try package.worker(named: product)
    if dev {
      try await develop(
        DevelopmentWorker(package, product: product, configuration: configuration, arguments: arguments))
      return
    }
    guard try await SwiftTool.build(product, configuration) else {
      throw Failure(.damaged, "\(product) does not build: see above")
    }
    try SwiftTool.become(try await SwiftTool.path(of: product, configuration), arguments)
  }

  private func develop(_ worker: DevelopmentWorker) async throws {
    var lifecycle = Logger(label: "nuvom.lifecycle")
    lifecycle.logLevel = .critical
    try await ServiceGroup(services: [worker], gracefulShutdownSignals: [.sigterm, .sigint], logger: lifecycle).run()
  }
}

/// Runs a package's worker, and builds and starts it again when sources change.
struct DevelopmentWorker: Service {
  private let package: WorkerPackage
  private let product: String
  private let configuration: BuildConfiguration
  private let arguments: [String]

  init(_ package: WorkerPackage, product: String, configuration: BuildConfiguration, arguments: [String]) {
    self.package = package
    self.product = product
    self.configuration = configuration
    self.arguments = arguments
  }

  func run() async throws {
    let program = RunningProgram(product, arguments)
    do {
      try await cancelWhenGracefulShutdown { try await build(for: program) }
    } catch is CancellationError {
      // It was told to end.
    } catch {
      await program.stop()
      throw error
    }
    await program.stop()
  }

  private func build(for program: RunningProgram) async throws {
    var package = package
    var watch = SourceWatch(built: package.sources)
    while true {
      if try await SwiftTool.build(product, configuration) {
        let path = try await SwiftTool.path(of: product, configuration)
        try Task.checkCancellation()
        await program.stop()
        program.start(path)
      } else {
        try Task.checkCancellation()
        Output.remark(
          "nuvom: \(product) does not build: "
            + (program.isRunning ? "the one that is running goes on" : "it starts when it does"))
      }
      repeat { try await Task.sleep(for: .milliseconds(500)) } while !watch.look(package.sources)
      Output.remark("nuvom: sources changed; building \(product)")
      // A new target has sources elsewhere. A manifest that is broken just now is the build's to report.
      if let described = try? await SwiftTool.describe() { package = described }
    }
  }
}

extension WorkerPackage {
  /// What they are now.
  fileprivate var sources: SourceSnapshot { SourceSnapshot(package: path, directories: sourceDirectories) }
}

/// A program that runs beside this one, one at a time.
private final class RunningProgram: Sendable {
  private let name: String
  private let arguments: [String]
  private let state = Mutex(State())

  private struct State {
    var process: Task<Void, Never>?
    var isRunning = false
  }

  init(_ name: String, _ arguments: [String]) {
    self.name = name
    self.arguments = arguments
  }

  var isRunning: Bool { state.withLock(\.isRunning) }

  /// Starts it, in a process group of its own: what the terminal sends to this one reaches it once, by ``stop()``.
  func start(_ path: String) {
    state.withLock { state in
      state.isRunning = true
      state.process = Task {
        await run(path)
        self.state.withLock { $0.isRunning = false }
      }
    }
  }

  /// Ends it as SIGTERM does, which gives it time to finish what runs; returns when it has ended.
  func stop() async {
    let process = state.withLock(\.process)
    process?.cancel()
    await process?.value
  }

  private func run(_ path: String) async {
    var options = PlatformOptions()
    options.processGroupID = 0
    options.teardownSequence = [.send(signal: .terminate, allowedDurationToNextStep: .seconds(120))]
    do {
      let result = try await Subprocess.run(
        .path(.init(path)), arguments: Arguments(arguments), platformOptions: options, output: .currentStandardOutput,
        error: .currentStandardError)
      if Task.isCancelled { return }
      Output.remark("nuvom: \(name) ended (\(result.terminationStatus)); it starts again when sources change")
    } catch {
      if !Task.isCancelled { Output.remark("nuvom: \(path) cannot be run: \(error)") }
    }
  }
}
