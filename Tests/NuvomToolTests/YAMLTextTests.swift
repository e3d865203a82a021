import MessagePack
import Testing

@testable import nuvom

@Suite struct YAMLTextTests {
  @Test(
    "Plain words are read as YAML 1.2 reads them, quoted ones are texts",
    arguments: [
      ("no", "no"), ("on", "on"), ("12:30", "12:30"), ("2027-01-31", "2027-01-31"), ("1_000", "1_000"), ("0777", 777),
      ("true", true), ("False", false), ("~", .null), ("null", .null), ("", .null), ("\"\"", ""), ("'true'", "true"),
      ("\"5\"", "5"), ("!!str 5", "5"), ("5", 5), ("-5", -5), ("0x1F", 31), ("0o17", 15), ("1.5", 1.5),
      ("-1e3", -1_000.0),
      (".5", 0.5), ("1.2.3", "1.2.3"), ("18446744073709551615", .uint(.max)), ("[1, a]", [1, "a"]),
      ("{a: {b: [no]}}", ["a": ["b": ["no"]]]), ("|\n  two\n  lines\n", "two\nlines\n"), ("[&x 1, *x]", [1, 1]),
    ] as [(String, MessageValue)])
  func values(_ text: String, _ value: MessageValue) throws {
    let node = try #require(try YAMLText.read(text.isEmpty ? "''" : text))
    if text.isEmpty { return }
    #expect(try YAMLText.value(node) == value)
  }

  @Test("A key without a value is null")
  func empty() throws {
    let node = try #require(try YAMLText.read("a:\nb: 1\n"))
    #expect(try YAMLText.value(node) == ["a": .null, "b": 1])
    #expect(try YAMLText.read("# nothing\n") == nil)
  }

  @Test(
    "A tag that would make something else of a word is refused", arguments: ["!!int \"5\"", "[!!binary aGk=]", "!x 5"])
  func tags(_ text: String) throws {
    let node = try #require(try YAMLText.read(text))
    #expect(throws: FileProblem.self) { try YAMLText.value(node) }
  }

  @Test(
    "What is no YAML is refused with its line, and what everybody meets with a hint",
    arguments: [
      ("a: 1\ncron: */5 * * * *\n", 2, "into quotes"), ("a: 1\ncron: @daily\n", 2, "into quotes"),
      ("a: [1\nb: 2\n", 2, "this is no YAML"),
      ("a: 1\nb: 2\na: 3\n", 3, "a is there twice, first in line 1; leave one"),
      ("a: 1\n---\nb: 2\n", 2, "another document"), ("a: *b\n", 1, "undefined alias"),
      ("\ta: 1\n", 1, "cannot start any token"),
    ])
  func problems(_ text: String, _ line: Int, _ words: String) {
    let problem = #expect(throws: FileProblem.self) { try YAMLText.read(text) }
    #expect(problem?.line == line && problem?.message.contains(words) == true, "\(String(describing: problem))")
  }
}

@Suite struct SpellingTests {
  @Test(
    "A word that there is not is taken for the nearest, if it is near",
    arguments: [
      ("max_fires", "max-fires"), ("timezon", "timezone"), ("Queue", "queue"), ("quue", "queue"), ("taks", "task"),
      ("x", nil), ("retries", nil), ("", nil),
    ] as [(String, String?)])
  func suggestions(_ word: String, _ suggestion: String?) {
    #expect(Spelling.suggestion(for: word, among: ["task", "queue", "timezone", "max-fires"]) == suggestion)
  }

  @Test(
    "The distance is the letters to add, drop or exchange",
    arguments: [
      ("", "", 0), ("a", "", 1), ("", "abc", 3), ("kitten", "sitting", 3), ("a_b", "A-B", 0), ("ab", "ba", 2),
    ])
  func distances(_ first: String, _ second: String, _ distance: Int) {
    #expect(Spelling.distance(first, second) == distance && Spelling.distance(second, first) == distance)
  }
}
