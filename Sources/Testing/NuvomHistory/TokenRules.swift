extension HistoryChecker {
  /// Tokens in the order in which the broker gave them: the lease of a token began after all lower ones were asked for, and before any higher one
  /// was received. That narrows when each lease began.
  mutating func checkTokens() {
    deliveries.sort { ($0.id >> 56, $0.token, $0.received, $0.id) < ($1.id >> 56, $1.token, $1.received, $1.id) }
    var latest = 0
    for index in deliveries.indices {
      let isFirst = index == 0 || deliveries[index - 1].id >> 56 != deliveries[index].id >> 56
      if isFirst { latest = index }
      let delivery = deliveries[index]
      if delivery.token == 0 { complain(.tokens, "job \(hex(delivery.id)) was delivered with token 0") }
      if !isFirst, deliveries[index - 1].token == delivery.token {
        let other = deliveries[index - 1]
        complain(
          .tokens, "token \(delivery.token) was given for job \(hex(other.id)) and again for job \(hex(delivery.id))")
      }
      if delivery.received < deliveries[latest].asked {
        let other = deliveries[latest]
        complain(
          .tokens,
          "token \(delivery.token) of job \(hex(delivery.id)) was received before the lower \(other.token) of job \(hex(other.id)) was asked for"
        )
      } else {
        deliveries[index].asked = max(delivery.asked, deliveries[latest].asked)
        latest = index
      }
    }
    var earliest = UInt64.max
    for index in deliveries.indices.reversed() {
      let isLast = index == deliveries.count - 1 || deliveries[index + 1].id >> 56 != deliveries[index].id >> 56
      if isLast { earliest = UInt64.max }
      if earliest >= deliveries[index].asked { deliveries[index].received = min(deliveries[index].received, earliest) }
      earliest = min(earliest, deliveries[index].received)
    }
  }

  /// A job's id as people see it.
  func hex(_ id: UInt64) -> String {
    let digits = String(id, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
