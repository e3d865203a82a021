/// What somebody meant who wrote a word that there is not.
enum Spelling {
  /// The word that is nearest, if it is near enough to be meant.
  static func suggestion(for word: String, among words: [String]) -> String? {
    let near = words.map { (word: $0, distance: distance(word, $0)) }.min { $0.distance < $1.distance }
    guard let near, near.distance <= max(2, word.count / 3), near.distance < word.count else { return nil }
    return near.word
  }

  /// How many letters must be added, dropped or exchanged to make one of the other; `_` and `-`, and upper and lower case, are the same.
  static func distance(_ first: String, _ second: String) -> Int {
    let (first, second) = (letters(first), letters(second))
    var row = Array(0...second.count)
    for (index, letter) in first.enumerated() {
      var before = row[0]
      row[0] = index + 1
      for (column, other) in second.enumerated() {
        let exchanged = before + (letter == other ? 0 : 1)
        before = row[column + 1]
        row[column + 1] = min(exchanged, before + 1, row[column] + 1)
      }
    }
    return row[second.count]
  }

  private static func letters(_ word: String) -> [Character] {
    word.lowercased().map { $0 == "_" ? "-" : $0 }
  }
}
