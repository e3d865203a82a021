import NuvomCommandLine
import MessagePack
import Testing

@testable import nuvom

@Suite struct QuantitiesTests {
  @Test(
    "A duration is a number with its unit",
    arguments: [
      ("0", 0), ("5s", 5_000), ("250ms", 250), ("1.5h", 5_400_000), ("2m", 120_000), ("36525d", 3_155_760_000_000),
      ("0.1ms", 1), ("5", nil), ("s", nil), ("-1s", nil), ("1w", nil), ("36526d", nil), ("1.2.3s", nil), ("1 s", nil),
      ("nan", nil), ("", nil),
    ] as [(String, Int64?)])
  func durations(_ text: String, _ milliseconds: Int64?) {
    #expect((try? DurationText.read(text)).map(DurationText.milliseconds) == milliseconds)
  }

  @Test(
    "A duration is written with the largest unit that leaves it whole",
    arguments: [(0, "0s"), (1_500, "1500ms"), (30_000, "30s"), (90_000, "90s"), (7_200_000, "2h")] as [(Int64, String)])
  func writtenDurations(_ milliseconds: Int64, _ text: String) {
    #expect(DurationText.write(.milliseconds(milliseconds)) == text)
  }

  @Test(
    "A size is bytes, or a number with a binary unit",
    arguments: [
      ("0", 0), ("1234", 1_234), ("512MiB", 512 << 20), ("2GiB", 2 << 30), ("1KiB", 1 << 10), ("1TiB", 1 << 40),
      ("1GB", nil), ("MiB", nil), ("-1", nil), ("1.5GiB", nil), ("9000000TiB", nil), ("9000000000000TiB", nil),
    ] as [(String, Int?)])
  func sizes(_ text: String, _ bytes: Int?) {
    #expect((try? SizeText.read(text)) == bytes)
  }

  @Test(
    "A time names its zone",
    arguments: [
      ("1970-01-01T00:00:01Z", 1_000), ("1970-01-01T01:00:01+01:00", 1_000), ("1970-01-01T00:00:00.250Z", 250),
      ("1970-01-01T00:00:01", nil), ("1969-12-31T23:59:59Z", nil), ("tomorrow", nil),
    ] as [(String, UInt64?)])
  func times(_ text: String, _ milliseconds: UInt64?) {
    #expect((try? TimeText.read(text)) == milliseconds)
  }

  @Test(
    "Where a broker listens, and whether others can reach it",
    arguments: [
      ("127.0.0.1:8866", "127.0.0.1", 8_866, true), ("[::1]:0", "::1", 0, true), ("localhost:1", "localhost", 1, true),
      ("127.1.2.3:1", "127.1.2.3", 1, true), ("0.0.0.0:1", "0.0.0.0", 1, false), ("[::]:1", "::", 1, false),
      ("127.0.0.1.example.org:1", "127.0.0.1.example.org", 1, false), ("127.example:1", "127.example", 1, false),
      ("10.0.0.1:65535", "10.0.0.1", 65_535, false),
    ])
  func addresses(_ text: String, _ host: String, _ port: Int, _ isLoopback: Bool) throws {
    let address = try ListenAddress(text)
    #expect(address.host == host && address.port == port && address.isLoopback == isLoopback)
  }

  @Test(
    "What is no address is refused",
    arguments: ["", "8866", ":8866", "host", "host:", "host:70000", "::1:80", "host:-1"])
  func badAddresses(_ text: String) {
    #expect(throws: Unreadable.self) { try ListenAddress(text) }
  }

  @Test("Columns are as wide as their widest cell, numbers to the right, control characters replaced")
  func table() {
    #expect(
      Output.table(["NAME", "N", ""], [["a\u{1B}b", "5", ""], ["longer", "12", "x"]])
        == ["NAME     N", "a\u{FFFD}b      5", "longer  12  x"])
  }
}

@Suite struct JSONTextTests {
  @Test(
    "JSON keeps order, whole numbers and fractions apart",
    arguments: [
      ("{\"b\":1,\"a\":1.0,\"b\":[null,true,false]}", ["b": 1, "a": 1.0, "b": [nil, true, false]]),
      ("18446744073709551615", .uint(.max)), ("-9223372036854775808", .int(.min)), ("-0.5e1", -5.0),
      ("\"\\u00e9\\n\\\"\"", "é\n\""), ("[]", []), ("{}", [:]), (" [ 1 , 2 ] ", [1, 2]), ("1e3", 1_000.0),
      ("18446744073709551616", 18446744073709551616.0),
    ] as [(String, MessageValue)])
  func reads(_ text: String, _ value: MessageValue) throws {
    #expect(try JSONText.read(text) == value)
  }

  @Test(
    "What is not JSON is refused with its place",
    arguments: [
      "", "{", "[1,]", "{\"a\"}", "{a:1}", "01", "1.", "-", "nul", "\"a", "\"\\q\"", "1 2", "NaN", "1e999", "\"\u{1}\"",
      String(repeating: "[", count: 100_000),
    ])
  func refuses(_ text: String) {
    #expect(throws: Unreadable.self) { try JSONText.read(text) }
  }

  @Test(
    "Every value of MessagePack can be written",
    arguments: [
      (["a": 1, "b": [nil, true, -1.5]], "{\"a\":1,\"b\":[null,true,-1.5]}"), (.binary([1, 2, 3]), "\"AQID\""),
      (.extension(5, [255]), "{\"type\":5,\"data\":\"/w==\"}"), (.double(.nan), "null"),
      (.uint(.max), "18446744073709551615"),
      (.map([(7, "x")]), "{\"7\":\"x\"}"), ("\u{1B}[2J\"\\", "\"\\u001b[2J\\\"\\\\\""),
    ] as [(MessageValue, String)])
  func writes(_ value: MessageValue, _ text: String) {
    #expect(JSONText.write(value) == text)
  }
}
