public import NuvomClient
public import Tracing

/// Carries a trace's context in a job's headers, under the names of whatever tracer the program has (`traceparent` for W3C's).
public struct TraceHeaders: Injector, Extractor {
  /// Nothing to set.
  public init() {}

  /// Sets a header.
  public func inject(_ value: String, forKey key: String, into headers: inout [String: HeaderValue]) {
    headers[key] = .text(value)
  }

  /// Reads a header that is text.
  public func extract(key: String, from headers: [String: HeaderValue]) -> String? {
    if case .text(let text) = headers[key] { return text }
    return nil
  }
}
