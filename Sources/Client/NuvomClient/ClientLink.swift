import NuvomConnection

/// What carries a client's requests to a broker: the network, or in tests a broker in the same process.
package protocol ClientLink: Sendable {
  /// Sends a request and returns its encoded result.
  ///
  /// - Throws: ``NuvomError``, or `CancellationError` as soon as the task is cancelled.
  func perform(_ frame: RequestFrame) async throws -> [UInt8]
  /// Keeps the link until a graceful shutdown, ``shutDown()`` or a cancellation. May be called once.
  func run() async throws
  /// Takes no more requests, and ends ``run()`` when those in flight are answered.
  func shutDown()
}
