#if Macros
  public import NuvomClient

  /// Makes a task of a function: on `resize` it adds `resizeTask`, which is called and enqueued by the function's own labels. A worker finds it
  /// without being told (``linkedTasks()``).
  /// ```swift
  /// @NuvomTask(retries: 3, timeout: .seconds(60))
  /// func resize(_ path: String, width: Int = 80) async throws -> String { … }
  ///
  /// try await resizeTask("logo.png")                      // runs here and now
  /// let job = try await resizeTask.delay("logo.png", width: 40)
  /// try await resizeTask.map([.init("a.png"), .init("b.png", width: 40)])
  /// ```
  /// For global and static functions, whether `async`, throwing, or neither, whose parameters and result are `Codable` and `Sendable`; not for
  /// generic ones. Arguments with a label travel by name, those without by position. A default is taken where a caller, or a producer in another
  /// language, gives no argument.
  ///
  /// - Parameters:
  ///   - name: what jobs name, a string literal of 1…255 bytes; by default the function's name without parameters.
  ///   - retryDelay: the same wait before each attempt, instead of a `backoff`.
  ///   - beforeJob: see ``TaskHooks``.
  @attached(peer, names: suffixed(Task), prefixed(__NuvomTask_), prefixed(__NuvomInput_))
  public macro NuvomTask(
    _ name: String? = nil, retries: Int = 2, retryDelay: Duration? = nil, backoff: Job.Backoff = .exponential(),
    timeout: Duration? = nil, timeoutPolicy: TimeoutPolicy = .retry, storeResult: Bool = true,
    retention: Duration = .seconds(3_600), priority: UInt8 = 5, queue: String = "default", lease: Duration? = nil,
    tags: [String] = [], description: String = "", category: String = "default",
    beforeJob: (@Sendable () async throws -> Void)? = nil, onError: (@Sendable (any Error) async throws -> Void)? = nil
  ) = #externalMacro(module: "NuvomMacros", type: "NuvomTaskMacro")

  /// Makes a task of a function, with a hook that is given what the function returned (``NoValue`` if it returns nothing).
  @attached(peer, names: suffixed(Task), prefixed(__NuvomTask_), prefixed(__NuvomInput_))
  public macro NuvomTask<Output: Codable & Sendable>(
    _ name: String? = nil, retries: Int = 2, retryDelay: Duration? = nil, backoff: Job.Backoff = .exponential(),
    timeout: Duration? = nil, timeoutPolicy: TimeoutPolicy = .retry, storeResult: Bool = true,
    retention: Duration = .seconds(3_600), priority: UInt8 = 5, queue: String = "default", lease: Duration? = nil,
    tags: [String] = [], description: String = "", category: String = "default",
    beforeJob: (@Sendable () async throws -> Void)? = nil, afterJob: @Sendable (Output) async throws -> Void,
    onError: (@Sendable (any Error) async throws -> Void)? = nil
  ) = #externalMacro(module: "NuvomMacros", type: "NuvomTaskMacro")
#endif
