import BrokerProcess
import Foundation
import MessagePack
import Testing

/// One story of Protocol.md: what is sent, and what must come back.
struct Transcript: CustomTestStringConvertible, Sendable {
  let title: String
  let steps: [Step]
  var testDescription: String { title }

  struct Step: Sendable {
    let line: Int
    let action: Action
  }

  enum Action: Sendable {
    case send(connection: String, Pattern)
    case receive(connection: String, Pattern)
    case closed(connection: String)
    case restart
  }

  /// The page itself.
  static let page: String = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return (try? String(contentsOf: root.appendingPathComponent("Protocol.md"), encoding: .utf8)) ?? ""
  }()

  /// Every story of the page. A story that cannot be read is one without steps, which its test refuses.
  static let all: [Transcript] = stories(of: page)

  static func stories(of page: String) -> [Transcript] {
    var stories: [Transcript] = []
    var title = ""
    var lines: [(number: Int, text: String)]?
    for (index, line) in page.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if line.hasPrefix("### ") { title = String(line.dropFirst(4)) }
      if line == "```transcript" {
        lines = []
      } else if line.hasPrefix("```"), let read = lines {
        stories.append(Transcript(title: title, steps: (try? steps(of: read)) ?? []))
        lines = nil
      } else if line.hasPrefix(" "), let last = lines?.indices.last {
        lines?[last].text += line  // the message goes on
      } else {
        lines?.append((index + 1, String(line)))
      }
    }
    return stories
  }

  static func steps(of lines: [(number: Int, text: String)]) throws -> [Step] {
    try lines.map { number, text in
      if text == "the broker is killed and started again" { return Step(line: number, action: .restart) }
      if text.hasSuffix(" is closed") {
        return Step(line: number, action: .closed(connection: String(text.dropLast(10))))
      }
      guard let arrow = text.firstIndex(where: { $0 == "→" || $0 == "←" }) else {
        throw BrokerFailure("line \(number) of Protocol.md is no step of a story: \(text)")
      }
      let connection = text[..<arrow].trimmingCharacters(in: .whitespaces)
      let pattern = try Pattern(reading: String(text[text.index(after: arrow)...]))
      let sends = text[arrow] == "→"
      return Step(
        line: number, action: sends ? .send(connection: connection, pattern) : .receive(connection: connection, pattern)
      )
    }
  }

  /// Plays the story. Throws at the first step that does not come true.
  func play(on broker: BrokerProcess) throws {
    var connections: [String: RawConnection] = [:]
    var names: [String: MessageValue] = [:]
    for step in steps {
      switch step.action {
      case .send(let name, let pattern):
        let connection = try connections[name] ?? RawConnection(port: broker.port)
        connections[name] = connection
        try connection.send(try pattern.value(with: names))
      case .receive(let name, let pattern):
        guard let answer = try connections[name]?.receive() else {
          throw BrokerFailure("line \(step.line): connection \(name) was closed instead of \(pattern)")
        }
        guard pattern.matches(answer, names: &names) else {
          throw BrokerFailure("line \(step.line): expected \(pattern), got \(answer); names: \(names)")
        }
      case .closed(let name):
        if let more = try connections[name]?.receive() {
          throw BrokerFailure("line \(step.line): connection \(name) should be closed, and got \(more)")
        }
      case .restart:
        broker.kill()
        try broker.start()
      }
    }
  }
}
