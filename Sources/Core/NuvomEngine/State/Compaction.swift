import NuvomModel

extension Engine {
  /// Empties one block of memory that a few old records keep, if there is one. To be called between turns; at most about 0.1 ms.
  ///
  /// Returns whether there may be more to do.
  public func compactOnce() -> Bool {
    guard let victim = arena.nextVictim() else { return false }
    arena.compact(
      victim,
      isLive: { owner, kind, reference in holds(owner, kind, reference) },
      moved: { owner, kind, _, new in
        switch kind {
        case RecordKind.body: jobs.mutable(owner).pointee.body = new
        case RecordKind.history: jobs.mutable(owner).pointee.history = new
        case RecordKind.key: keys.mutable(owner).pointee.key = new
        case RecordKind.clientName: clients.mutable(owner).pointee.name = new
        case RecordKind.schedule: schedules.mutable(owner).pointee.body = new
        default: answers.mutable(owner).pointee.value = new.rawValue
        }
      })
    return true
  }

  /// Whether a record of the arena is the one that its owner points to now.
  private func holds(_ owner: UInt32, _ kind: UInt8, _ reference: ArenaReference) -> Bool {
    switch kind {
    case RecordKind.body: jobs.isTaken(owner) && jobs.pointer(owner).pointee.body == reference
    case RecordKind.history: jobs.isTaken(owner) && jobs.pointer(owner).pointee.history == reference
    case RecordKind.key: keys.isTaken(owner) && keys.pointer(owner).pointee.key == reference
    case RecordKind.clientName: clients.isTaken(owner) && clients.pointer(owner).pointee.name == reference
    case RecordKind.schedule: schedules.isTaken(owner) && schedules.pointer(owner).pointee.body == reference
    default:
      answers.isTaken(owner) && answers.pointer(owner).pointee.kind == AnswerRecord.Kind.encoded.rawValue
        && answers.pointer(owner).pointee.value == reference.rawValue
    }
  }
}
