public import NuvomClient

/// What travels with a job beside its arguments: on whose behalf it is done. It is set by a producer, readable in the handler, and
/// passed on to every job that the handler enqueues. The trace travels by itself.
///
/// ```swift
/// var context = PropagatedContext.current
/// context.tenant = "acme"
/// try await PropagatedContext.$current.withValue(context) {
///   try await report.delay(2026)
/// }
/// ```
public struct PropagatedContext: Hashable, Sendable {
  /// What applies to the jobs that are enqueued here.
  @TaskLocal public static var current = PropagatedContext()

  /// The request that led to the job; header `request_id`.
  public var request: String?
  /// What belongs together across requests; header `correlation_id`.
  public var correlation: String?
  /// On whose behalf; header `tenant_id`.
  public var tenant: String?
  /// By whose wish; header `user_id`.
  public var user: String?
  /// In which language; header `locale`.
  public var locale: String?

  /// By default empty.
  public init(
    request: String? = nil, correlation: String? = nil, tenant: String? = nil, user: String? = nil,
    locale: String? = nil
  ) {
    self.request = request
    self.correlation = correlation
    self.tenant = tenant
    self.user = user
    self.locale = locale
  }

  private static var fields: [(name: String, path: WritableKeyPath<PropagatedContext, String?>)] {
    [
      ("request_id", \.request), ("correlation_id", \.correlation), ("tenant_id", \.tenant), ("user_id", \.user),
      ("locale", \.locale),
    ]
  }

  /// What a job's headers say. A header that is no text is left out.
  public init(headers: [String: HeaderValue]) {
    self.init()
    for (name, path) in Self.fields {
      if case .text(let text) = headers[name] { self[keyPath: path] = text }
    }
  }

  /// The headers that say it; none for what is not set.
  public var headers: [String: HeaderValue] {
    var headers: [String: HeaderValue] = [:]
    for (name, path) in Self.fields {
      if let text = self[keyPath: path] { headers[name] = .text(text) }
    }
    return headers
  }
}
