import MessagePack
import NuvomModel

extension Request {
  /// progress: `{"jobs": [report, …]}`.
  mutating func readReports(from cursor: inout MessageCursor, pairs: Int) throws(RefusedRequest) {
    guard var list = try cursor.onlyList("jobs", pairs: pairs) else { throw RefusedRequest(parameter: "jobs") }
    let count = try list.list("jobs", count: Ranges.items)
    for index in 0..<count {
      do throws(RefusedRequest) {
        reports.append(try ProgressReport(from: &list))
      } catch {
        throw error.inside("jobs", at: index)
      }
    }
  }
}

extension ProgressReport {
  /// Reads one report's map.
  fileprivate init(from cursor: inout MessageCursor) throws(RefusedRequest) {
    self.init(id: JobID(rawValue: 0), token: LeaseToken(rawValue: 0))
    guard var pairs = cursor.readMapHeader() else { throw .wholeItem }
    var hasID = false
    while let key = try cursor.nextKey(&pairs, or: .wholeItem) {
      switch key {
      case "id":
        id = try cursor.jobID("id")
        hasID = true
      case "token": token = LeaseToken(rawValue: try cursor.uint("token", in: Ranges.token))
      case "percent": percent = UInt8(truncatingIfNeeded: try cursor.uint("percent", in: 0...100))
      case "message": message = try cursor.text("message", maximumBytes: ProtocolLimits.progressMessageBytes)
      default: cursor.skip()
      }
    }
    if !hasID { throw RefusedRequest(parameter: "id") }
    if token.rawValue == 0 { throw RefusedRequest(parameter: "token") }
  }
}
