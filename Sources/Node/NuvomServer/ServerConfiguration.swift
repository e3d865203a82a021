public import NuvomStorage
import NuvomModel

/// What a server is told once.
public struct ServerConfiguration: Sendable {
  /// Address to listen on.
  public var host = "127.0.0.1"
  /// Port; 0 picks a free one.
  public var port = ProtocolLimits.defaultPort
  /// Directory of the log; nil for a broker that keeps nothing.
  public var directory: String?
  /// Whether a damaged log is gone on with, without what is lost of it.
  public var isRecovering = false
  /// When a batch of the log is forced to disk.
  public var sync = SyncPolicy.always
  /// Bytes that jobs, results, keys and dead letters may take in memory.
  public var memoryLimit = 1 << 30
  /// Bytes that the log's files may take; nil for what the disk has.
  public var diskLimit: Int?
  /// Connections at a time; one more is refused with `TOO_MANY_CONNECTIONS`.
  public var connectionLimit = 12_000
  /// Bytes of incomplete frames and unsent responses, over all connections: beyond it the connection that keeps most is closed.
  public var bufferLimit = 512 << 20
  /// As hello and stats tell it.
  public var version: String

  /// The defaults: loopback, port 8866, no log, 1 GiB.
  public init(version: String) { self.version = version }

  /// Connections above the limit that have a moment to read that they were refused.
  private(set) var refusedLimit = 256
  /// Files that the log, the event loop and standard streams may need.
  private static let otherFiles = 64

  /// Takes no more connections than a process with so many open files can hold: without a file left, neither could the log go on. Whether that lowered
  /// the limit.
  public mutating func fitConnections(intoFiles files: Int) -> Bool {
    refusedLimit = min(refusedLimit, files / 8)
    let fitting = max(1, files - refusedLimit - Self.otherFiles)
    guard fitting < connectionLimit else { return false }
    connectionLimit = fitting
    return true
  }

  /// As stats tells it.
  var fsyncName: String {
    guard directory != nil else { return "ephemeral" }
    return switch sync {
    case .always: "always"
    case .interval(let milliseconds): "interval:\(milliseconds)"
    case .never: "never"
    }
  }
}
