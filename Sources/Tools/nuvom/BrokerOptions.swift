import NuvomCommandLine
import ArgumentParser
import Logging
import NuvomServer
import NuvomStorage

/// The flags of a broker, as text: a flag, an environment variable and a line of `.env` are read by the same rules.
struct BrokerOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Directory of the log; made if it is missing. Default: ./nuvom-data.", valueName: "dir"))
  var data: String?
  @Option(
    help: ArgumentHelp("Where to listen; port 0 picks a free one. Default: 127.0.0.1:8866.", valueName: "host:port"))
  var listen: String?
  @Option(
    help: ArgumentHelp(
      """
      When a change is forced to disk. always: before anyone is told of it. interval[:ms]: at most so much later (default 1000), which a \
      power cut can lose. never: when the kernel likes. Default: always.
      """, valueName: "always|interval[:ms]|never"))
  var fsync: String?
  @Flag(inversion: .prefixedNo, help: "Keep no log at all: everything is lost when the broker ends.")
  var ephemeral: Bool?
  @Option(
    help: ArgumentHelp(
      "Memory that jobs may take, as 512MiB, 2GiB, plain bytes; beyond it enqueue answers MEMORY_FULL. Default: 1GiB.",
      valueName: "size"))
  var memoryLimit: String?
  @Option(
    help: ArgumentHelp(
      "Disk that the log may take; beyond it enqueue answers DISK_FULL. Default: none, what the disk has.",
      valueName: "size"))
  var diskLimit: String?
  @Flag(
    help: """
      Go on from the part of a damaged log that is surely right, and say what is lost. Nothing is deleted: the damaged files are kept in a folder \
      damaged-1, -2, … in the directory. Without damage it changes nothing.
      """)
  var recover = false
  @Option(help: ArgumentHelp("Connections at a time. Default: 12000.", valueName: "n"))
  var maxConnections: String?
  @Flag(inversion: .prefixedNo, help: "Listen beyond this machine although nobody has to prove who they are.")
  var insecure: Bool?
  @Option(
    help: ArgumentHelp(
      "What is logged to standard error: trace, debug, info, notice, warning, error, critical. Default: info.",
      valueName: "level"))
  var logLevel: String?

  /// What was given, by setting.
  var flags: [Setting: String] {
    let given: [Setting: String?] = [
      .data: data, .listen: listen, .fsync: fsync, .ephemeral: ephemeral.map { "\($0)" }, .memoryLimit: memoryLimit,
      .diskLimit: diskLimit, .maximumConnections: maxConnections, .insecure: insecure.map { "\($0)" },
      .logLevel: logLevel,
    ]
    return given.compactMapValues(\.self)
  }
}

/// Where a broker listens; unlike the address that a client connects to, its port may be 0.
struct ListenAddress: Equatable {
  let host: String
  let port: Int

  init(_ text: String) throws {
    var host = text[...]
    var port = text[text.endIndex...]
    if let colon = text.lastIndex(of: ":") {
      host = text[..<colon]
      port = text[text.index(after: colon)...]
    }
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      host = ""
    }
    guard !host.isEmpty, let number = UInt16(port) else {
      throw Unreadable(description: "write HOST:PORT, as in 127.0.0.1:8866 or [::1]:8866; port 0 picks a free one")
    }
    self.host = String(host)
    self.port = Int(number)
  }

  /// Whether only this machine can reach it. A name but localhost may stand for anything.
  var isLoopback: Bool {
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return host == "localhost" || host == "::1"
      || (parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil })
  }
}

extension ServerConfiguration {
  /// What the settings say; the first that is wrong is thrown.
  init(_ settings: Settings) throws(Failure) {
    self.init(version: nuvomVersion)
    let listen = settings[.listen]
    let address = try listen.read(ListenAddress.init)
    host = address.host
    port = address.port
    let isInsecure = try settings[.insecure].read(readBool)
    guard address.isLoopback || isInsecure else {
      throw Failure(
        .configuration,
        """
        \(listen.text) can be reached from other machines, and this version has no authentication: everybody there could read and delete \
        all jobs; listen on 127.0.0.1, or say --insecure if a firewall keeps strangers out
        """)
    }
    let isEphemeral = settings[.ephemeral]
    if try isEphemeral.read(readBool) {
      guard isEphemeral.source != .flag || settings[.data].source != .flag else {
        throw Failure(.usage, "--data and --ephemeral contradict each other; give one of them")
      }
    } else {
      directory = settings[.data].text
    }
    sync = try settings[.fsync].read(SyncPolicy.read)
    memoryLimit = try settings[.memoryLimit].read { text in try readLimit(text, atLeast: 16) }
    diskLimit = try settings[.diskLimit].read { text in text == "none" ? nil : try readLimit(text, atLeast: 64) }
    connectionLimit = try settings[.maximumConnections].read { text in
      guard let number = Int(text), (1...1_000_000).contains(number) else {
        throw Unreadable(description: "write a number from 1 to 1000000")
      }
      return number
    }
  }
}

/// A size that something can be done with. Memory is held in blocks of 1 MiB, of which a few stay when the jobs are gone; the log keeps a segment and the
/// next snapshot free beside the one that it writes: a limit near that would refuse for ever.
private func readLimit(_ text: String, atLeast least: Int) throws -> Int {
  let bytes = try SizeText.read(text)
  guard bytes >= least << 20 else { throw Unreadable(description: "a limit is \(least)MiB at least") }
  return bytes
}

private func readBool(_ text: String) throws -> Bool {
  switch text.lowercased() {
  case "true", "yes", "1": return true
  case "false", "no", "0": return false
  default: throw Unreadable(description: "write true or false")
  }
}

extension SyncPolicy {
  /// Reads `always`, `never`, `interval` (a second) and `interval:MS`.
  static func read(_ text: String) throws -> SyncPolicy {
    switch text {
    case "always": return .always
    case "never": return .never
    case "interval": return .interval(milliseconds: 1_000)
    default:
      guard text.hasPrefix("interval:"), let milliseconds = Int(text.dropFirst("interval:".count)),
        (1...60_000).contains(milliseconds)
      else { throw Unreadable(description: "write always, never, interval or interval:MS with 1 to 60000 ms") }
      return .interval(milliseconds: milliseconds)
    }
  }
}

extension Logger.Level {
  static func read(_ text: String) throws -> Logger.Level {
    guard let level = Logger.Level(rawValue: text) else {
      throw Unreadable(description: "write one of \(allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return level
  }
}
