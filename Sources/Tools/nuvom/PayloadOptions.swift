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
  ///
  /// - Parameter present: the payload that they replace. Of the arguments there, what is not given stays.
  func bytes(replacing present: [UInt8]) throws -> [UInt8]? {
    if let payload { return [UInt8](payload.utf8) }
    if let payloadFile { return try InputFile.read(payloadFile) }
    if args == nil && kwargs == nil { return nil }
    let kept = Self.arguments(of: present)
    do {
      return try Self.bytes(args: args ?? kept.args, kwargs: kwargs ?? kept.kwargs)
    } catch {
      throw Failure(.usage, "--args and --kwargs cannot be sent: \(error)")
    }
  }

  /// A payload as a task's arguments; nil, what it does not have, or all of it if it is something else.
  private static func arguments(of payload: [UInt8]) -> (args: MessageValue?, kwargs: MessageValue?) {
    guard case .map(let pairs)? = try? MessageValue(decoding: payload),
      pairs.allSatisfy({ $0.0 == "args" || $0.0 == "kwargs" })
    else { return (nil, nil) }
    let arguments = MessageValue.map(pairs)
    return (arguments["args"], arguments["kwargs"])
  }

  /// A task's arguments as a payload.
  static func bytes(args: MessageValue?, kwargs: MessageValue?) throws -> [UInt8] {
    try (["args": args ?? [], "kwargs": kwargs ?? [:]] as MessageValue).encoded()
  }
}
