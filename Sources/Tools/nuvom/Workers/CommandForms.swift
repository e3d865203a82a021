import NuvomCommandLine
import ArgumentParser
import MessagePack

/// How a command is given a job's payload, on its standard input.
enum CommandInput: String, CaseIterable, ExpressibleByArgument {
  /// As JSON.
  case json
  /// The payload's bytes as they are.
  case msgpack

  /// - Throws: ``Unreadable``: the payload is no MessagePack.
  func bytes(of payload: [UInt8]) throws -> [UInt8] {
    switch self {
    case .msgpack: return payload
    case .json:
      // Who gave no arguments called the task without any.
      if payload.isEmpty { return [UInt8](#"{"args":[],"kwargs":{}}"#.utf8) }
      do {
        return [UInt8](JSONText.write(try MessageValue(decoding: payload)).utf8)
      } catch {
        throw Unreadable(
          description: "the payload is not MessagePack: enqueue it with --args or --kwargs, or run with --input msgpack"
        )
      }
    }
  }
}

/// What a command's standard output means.
enum CommandOutput: String, CaseIterable, ExpressibleByArgument {
  /// A string, without the newlines at its end; binary data if it is not UTF-8.
  case text
  /// A value in JSON.
  case json
  /// A value in MessagePack.
  case msgpack

  /// The result in MessagePack; nothing is null.
  /// - Throws: ``Unreadable``: it is not what it should be.
  func result(of output: [UInt8]) throws -> [UInt8] {
    if output.isEmpty { return try MessageValue.null.encoded() }
    switch self {
    case .text:
      guard String(validating: output, as: UTF8.self) != nil else { return try MessageValue.binary(output).encoded() }
      let end = output.lastIndex { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
      return try MessageValue.string(String(decoding: output[..<(end.map { $0 + 1 } ?? 0)], as: UTF8.self)).encoded()
    case .json:
      guard let text = String(validating: output, as: UTF8.self) else {
        throw Unreadable(description: "the output is not JSON: it is not UTF-8; run with --output text or msgpack")
      }
      do {
        return try JSONText.read(text).encoded()
      } catch let error as Unreadable {
        throw Unreadable(description: "the output: \(error.description); run with --output text to take it as it is")
      }
    case .msgpack:
      do {
        _ = try MessageValue(decoding: output)
        return output
      } catch {
        throw Unreadable(
          description: "the output is not one MessagePack value: \(error); run with --output text or json")
      }
    }
  }
}
