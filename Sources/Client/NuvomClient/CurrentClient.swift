extension NuvomClient {
  /// The client that calls use which name none: of ``withClient(configuration:eventLoopGroup:logger:_:)`` in its body, and of a worker in
  /// the jobs that it runs. Set it elsewhere with `NuvomClient.$current.withValue(client) { … }`.
  @TaskLocal public static var current: NuvomClient?

  /// The client that was named, or the current one.
  /// - Throws: `CLOSED` if there is none.
  package static func required(_ client: NuvomClient?) throws(NuvomError) -> NuvomClient {
    if let client = client ?? current { return client }
    throw NuvomError(
      .closed, "there is no client here: call from inside NuvomClient.withClient, or name one with the argument on:")
  }
}
