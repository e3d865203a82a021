import NuvomCommandLine
import ArgumentParser
import Foundation
import MessagePack

/// The four ways to give a job its payload, of which one is taken.
struct PayloadOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Payload, as text.", valueName: "text"))
  var payload: String?
  @Option(help: ArgumentHelp("Payload, from a file; - is standard input.", valueName: "file"))
  var payloadFile: String?
  @Option(
    help: ArgumentHelp("Positional arguments: a JSON array, sent as MessagePack {args, kwargs}.", valueName: "json"),
    transform: JSONText.read)
  var args: MessageValue?
  @Option(
    help: ArgumentHelp("Named arguments: a JSON object, sent as MessagePack {args, kwargs}.", valueName: "json"),
    transform: JSONText.read)
  var kwargs: MessageValue?

  func validate() throws {
    if let args {
      guard case .array = args else { throw ValidationError("--args must be a JSON array, as in '[1, \"two\"]'") }
    }
    if let kwargs {
      guard case .map = kwargs else { throw ValidationError("--kwargs must be a JSON object, as in '{\"width\": 80}'") }
    }
    let ways = [payload != nil, payloadFile != nil, args != nil || kwargs != nil]
    guard ways.count(where: { $0 }) <= 1 else {
      throw ValidationError("give the payload once: --payload, --payload-file, or --args and --kwargs")
    }
  }

  /// The payload's bytes; nil if none was given.
  func bytes() throws -> [UInt8]? {
    if let payload { return [UInt8](payload.utf8) }
    if let payloadFile { return try InputFile.read(payloadFile) }
    if args == nil && kwargs == nil { return nil }
    do {
      return try Self.bytes(args: args, kwargs: kwargs)
    } catch {
      throw Failure(.usage, "--args and --kwargs cannot be sent: \(error)")
    }
  }

  /// A task's arguments as a payload.
  static func bytes(args: MessageValue?, kwargs: MessageValue?) throws -> [UInt8] {
    try (["args": args ?? [], "kwargs": kwargs ?? [:]] as MessageValue).encoded()
  }
}
