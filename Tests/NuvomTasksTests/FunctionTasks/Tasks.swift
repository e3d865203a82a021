#if Macros
  import NuvomTasks

  // Tasks as users write them; that this compiles is the first test.

  @NuvomTask
  func plainSum(a: Int, b: Int) -> Int { a + b }

  /// A task of a library's, with labels of all kinds.
  @NuvomTask("images.resize", retries: 4, timeout: .seconds(60), queue: "images", tags: ["image"])
  public func resize(_ path: String, to width: Int = 80, height: Int? = nil, sharp isSharp: Bool) async throws -> String
  {
    guard width > 0 else { throw PermanentError("no width") }
    return "\(path) \(width)x\(height.map(String.init) ?? "auto") \(isSharp)"
  }

  @NuvomTask
  func nothing() {}

  @NuvomTask
  package func throwing(_ message: String) throws { throw PermanentError(message) }

  @NuvomTask
  private func hidden(value: [String: Int]) async -> [String: Int] { value }

  @NuvomTask
  fileprivate func unused(_: Int, other _: Int) -> Int { 1 }

  @MainActor @NuvomTask
  func onMainActor(_ number: Int) -> Int { number }

  @NuvomTask
  func `repeat`(default: Int, in count: Int) -> Int { `default` * count }

  @NuvomTask
  func labelledFirst(first: Int, _ second: Int) -> Int { first * 10 + second }

  @NuvomTask
  func map(delay: Int, job: Int) -> Int { delay + job }

  @NuvomTask
  func definition(input: Int, on: Int) -> Int { input - on }

  /// With the labels of schedules' functions.
  @NuvomTask
  func every(in: Int, named name: String) -> String { "\(`in`) \(name)" }

  @NuvomTask(
    "hooked", beforeJob: { Hooks.told.withLock { $0.append("before") } },
    afterJob: { (count: Int) in Hooks.told.withLock { $0.append("after \(count)") } },
    onError: { error in Hooks.told.withLock { $0.append("error \(error)") } })
  func hooked(fail: Bool) throws -> Int {
    if fail { throw PermanentError("as asked") }
    return 7
  }

  /// Tasks as members.
  public enum Images {
    /// Named as what the generated type has, too.
    public struct Input: Codable, Sendable, Equatable {
      var side: Int
      /// A side.
      public init(side: Int) { self.side = side }
    }
    /// Named as what the generated type has, too.
    public struct Output: Codable, Sendable, Equatable { var area: Int }
    /// A default that is no literal.
    public static let standard = 3

    /// A static task.
    @NuvomTask
    public static func area(of input: Input, times: Int = standard) -> Output {
      Output(area: input.side * input.side * times)
    }
  }

  extension Images {
    struct Deep {
      @NuvomTask("deep", beforeJob: nil)
      fileprivate static func inner(_ values: [Input]) async throws -> [Input] { values }
      static func job() throws -> Job { try innerTask.job([Input(side: 1)]) }
    }
  }

  @MainActor final class Screen {
    @NuvomTask static func show(text: String) -> Int { text.count }
  }

  actor Store {
    @NuvomTask private static func keep(_ text: String) async -> String { text }
    static func kept(_ text: String) async throws -> String { try await keepTask(text) }
  }

  func hiddenJob(_ value: [String: Int]) throws -> Job { try hiddenTask.job(value: value) }
  func unusedJob() throws -> Job { try unusedTask.job(1, other: 2) }
#endif
