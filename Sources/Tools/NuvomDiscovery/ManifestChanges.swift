/// How a manifest differs from the one before. Tasks are the same if they have the same name.
package struct ManifestChanges: Equatable, Sendable {
  package var added: [Manifest.Entry] = []
  package var removed: [Manifest.Entry] = []
  /// As they are now. A task that only stands in another line is not among them.
  package var modified: [Manifest.Entry] = []

  package init(from old: Manifest?, to new: Manifest) {
    // A manifest that was written by hand may name a task twice.
    let before = Dictionary((old?.tasks ?? []).map { ($0.name, $0) }) { $1 }
    let now = Dictionary(new.tasks.map { ($0.name, $0) }) { $1 }
    for task in new.tasks {
      guard var earlier = before[task.name] else {
        added.append(task)
        continue
      }
      earlier.line = task.line
      if earlier != task { modified.append(task) }
    }
    removed = (old?.tasks ?? []).filter { now[$0.name] == nil }
  }

  package var isEmpty: Bool { added.isEmpty && removed.isEmpty && modified.isEmpty }
}
