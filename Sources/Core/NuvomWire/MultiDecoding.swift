import MessagePack
import NuvomModel

extension Request {
  /// multi: `{"operations": [[method, params], …]}`.
  mutating func readOperations(from cursor: inout MessageCursor, pairs: Int) throws(RefusedRequest) {
    guard var list = try cursor.onlyList("operations", pairs: pairs) else {
      throw RefusedRequest(parameter: "operations")
    }
    let count = try list.list("operations", count: 1...ProtocolLimits.operationsPerMulti)
    for index in 0..<count {
      do throws(RefusedRequest) {
        try appendOperation(index, from: &list)
      } catch {
        throw error.inside(operation: index)
      }
    }
  }

  private mutating func appendOperation(_ index: Int, from cursor: inout MessageCursor) throws(RefusedRequest) {
    guard cursor.readArrayHeader() == 2, let name = cursor.readKey(), let pairs = cursor.readMapHeader() else {
      throw RefusedRequest(item: index, of: "operations")
    }
    guard let method = Method(named: name) else { throw RefusedRequest(.unknownMethod) }
    let items: Range<Int>
    switch method {
    case .enqueue:
      let start = jobs.count
      try readJobs(from: &cursor, pairs: pairs)
      items = start..<jobs.count
    case .ack: items = try settlements(.ack, from: &cursor, pairs: pairs)
    case .nack: items = try settlements(.nack, from: &cursor, pairs: pairs)
    case .release: items = try settlements(.release, from: &cursor, pairs: pairs)
    case .extend: items = try settlements(.extend, from: &cursor, pairs: pairs)
    case .cancel:
      let start = ids.count
      try readIDs(from: &cursor, pairs: pairs)
      items = start..<ids.count
    default: throw RefusedRequest(item: index, of: "operations")
    }
    operations.append(Operation(method: method, items: items))
  }

  private mutating func settlements(
    _ kind: Settlement.Kind, from cursor: inout MessageCursor, pairs: Int
  ) throws(RefusedRequest) -> Range<Int> {
    let start = settlements.count
    try readSettlements(kind, from: &cursor, pairs: pairs)
    return start..<settlements.count
  }
}
