import NuvomModel

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Where a broker listens: `host:port`, `host` (port 8866), `[v6 address]:port`.
public struct BrokerAddress: Hashable, Sendable {
  /// A name or an IP address, without brackets.
  public var host: String
  /// 1…65,535.
  public var port: Int

  /// 127.0.0.1, port 8866: where a broker listens unless told otherwise.
  public static let local = BrokerAddress(host: "127.0.0.1", port: ProtocolLimits.defaultPort)

  /// What the environment variable `NUVOM_CONNECT` says, as for the command line; if nothing, ``local``. What cannot be read as an address is
  /// taken for a host's name, so that the error that follows shows it.
  public static var standard: BrokerAddress {
    guard let variable = getenv("NUVOM_CONNECT"), variable.pointee != 0 else { return local }
    let text = String(cString: variable)
    return (try? BrokerAddress(text)) ?? BrokerAddress(host: text, port: ProtocolLimits.defaultPort)
  }

  /// A host and a port.
  public init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// Reads an address.
  /// - Throws: `BAD_PARAMS` with field `address`.
  public init(_ text: String) throws(NuvomError) {
    var host = text[...]
    var port = "\(ProtocolLimits.defaultPort)"[...]
    if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
      host = text[text.index(after: text.startIndex)..<end]
      let rest = text[text.index(after: end)...]
      if rest.hasPrefix(":") { port = rest.dropFirst() } else if !rest.isEmpty { host = "" }
    } else if let colon = text.lastIndex(of: ":"), text.firstIndex(of: ":") == colon {
      host = text[..<colon]
      port = text[text.index(after: colon)...]
    }
    guard !host.isEmpty, let number = UInt16(port), number > 0 else {
      throw .badParameter("address", "\"\(text)\" is not a broker's address; write HOST:PORT, as in 127.0.0.1:8866")
    }
    self.init(host: String(host), port: Int(number))
  }
}

extension BrokerAddress: CustomStringConvertible {
  /// `host:port`, with brackets around an IPv6 address.
  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

extension BrokerAddress: ExpressibleByStringLiteral {
  /// An address in the program's text; one that cannot be read ends the program.
  public init(stringLiteral text: String) {
    do {
      try self.init(text)
    } catch {
      preconditionFailure("\(error)")
    }
  }
}
