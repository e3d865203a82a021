extension HistoryChecker {
  /// Within a window one job, and its id to all others.
  mutating func checkUniqueKeys() {
    let keyed = births.indices.filter { births[$0].job.uniqueKey != 0 }.sorted { one, other in
      (births[one].job.uniqueKey, operations[births[one].operation].sent, one)
        < (births[other].job.uniqueKey, operations[births[other].operation].sent, other)
    }
    var start = 0
    while start < keyed.count {
      var end = start
      let key = births[keyed[start]].job.uniqueKey
      while end < keyed.count, births[keyed[end]].job.uniqueKey == key { end += 1 }
      checkKey(keyed[start..<end])
      start = end
    }
  }

  /// The enqueues of one key, in the order in which they were sent.
  private mutating func checkKey(_ group: ArraySlice<Int>) {
    var fresh: Set<UInt64> = []
    var mayHaveOthers = false
    for index in group {
      let verdict = verdict(births[index].operation)
      if verdict == .done, !births[index].isDuplicate { fresh.insert(births[index].id) }
      if verdict == .open || verdict == .unknown { mayHaveOthers = true }
    }
    var last: Birth?
    for index in group where verdict(births[index].operation) == .done {
      let birth = births[index]
      let operation = operations[birth.operation]
      if birth.isDuplicate {
        if !fresh.contains(birth.id), !mayHaveOthers {
          complain(.unique, "\(words(birth.operation)) is a duplicate of job \(hex(birth.id)), which has another key")
        }
        continue
      }
      if let last {
        let before = operations[last.operation]
        if before.answered <= operation.sent,
          operation.answered + clockSlack < before.sent + last.job.uniqueNanoseconds
        {
          complain(.unique, "a unique key has enqueued jobs \(hex(last.id)) and \(hex(birth.id)) in one window")
        }
      }
      last = birth
    }
  }
}
