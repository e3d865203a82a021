import NuvomModel

extension Engine {
  /// The tags of all kinds of events that there are (FORMAT.md, "Events").
  package static var allEventTags: [UInt8] { (1...UInt8.max).filter { Event.Tag(rawValue: $0) != nil } }

  /// The tag of a batch's first event that is of no kind known here; nil if there is none before the first event that cannot be read.
  package static func unknownTag(in batch: BorrowedBytes) -> UInt8? {
    var reader = EventReader(batch)
    while !reader.isAtEnd {
      let tag = batch[reader.position]
      if Event.Tag(rawValue: tag) == nil { return tag }
      guard Event.read(from: &reader, partition: 0) != nil else { return nil }
    }
    return nil
  }

  /// The tags of a batch's events, each once; of a damaged batch up to the damage.
  package static func eventTags(in batch: BorrowedBytes) -> Set<UInt8> {
    var tags: Set<UInt8> = []
    var reader = EventReader(batch)
    while !reader.isAtEnd {
      let tag = batch[reader.position]
      guard Event.read(from: &reader, partition: 0) != nil else { break }
      tags.insert(tag)
    }
    return tags
  }
}
