import MessagePack

/// A schedule's metadata as the broker sent it, of which this client would write something else: values that are no text, or another order.
/// Sent back unchanged, it stays what its writer made it.
struct ReceivedMetadata: Hashable, Sendable {
  /// The map in MessagePack.
  let encoded: [UInt8]
  /// What is no text as the text of its value.
  var texts: [String: String] = [:]
  /// The keys of what is no text.
  var others: Set<String> = []

  init(encoded: [UInt8]) { self.encoded = encoded }

  /// Whether this client would write the same bytes.
  var isPlain: Bool {
    var writer = MessageWriter()
    writer.write(metadata: texts)
    return writer.bytes == encoded
  }
}

extension Schedule {
  /// The metadata that is sent: what came from the broker, if nobody changed it.
  ///
  /// - Throws: if it was changed beside values that are no text: they would become text.
  var metadataToSend: ReceivedMetadata? {
    get throws(NuvomError) {
      guard let received = receivedMetadata else { return nil }
      if received.texts == metadata { return received }
      let lost = received.others.filter { metadata[$0] == received.texts[$0] }.sorted()
      if lost.isEmpty { return nil }
      throw .badParameter(
        "metadata",
        "the metadata has values that are no text, which another client wrote, and which a change of it would make text: give \(lost.joined(separator: ", ")) anew, or take it away"
      )
    }
  }

  /// The metadata, with what is no text as it is.
  package var metadataValue: MessageValue {
    if let received = receivedMetadata, received.texts == metadata,
      let value = try? MessageValue(decoding: received.encoded)
    {
      return value
    }
    return .map(metadata.sorted { $0.key < $1.key }.map { (.string($0.key), .string($0.value)) })
  }
}

extension MessageWriter {
  /// Sorted: equal schedules have equal bytes, so that the broker finds them unchanged.
  mutating func write(metadata: [String: String]) {
    mapHeader(metadata.count)
    for (name, value) in metadata.sorted(by: { $0.key < $1.key }) {
      string(name)
      string(value)
    }
  }
}
