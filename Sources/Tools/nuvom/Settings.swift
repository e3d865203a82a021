import NuvomCommandLine
import Configuration
import Foundation

/// Everything that can be set from outside: its name, its default, what it means.
enum Setting: String, CaseIterable {
  case connect
  case data
  case listen
  case fsync
  case ephemeral
  case memoryLimit = "memory-limit"
  case diskLimit = "disk-limit"
  case maximumConnections = "max-connections"
  case insecure
  case logLevel = "log-level"

  /// The value when nobody says otherwise.
  var standard: String {
    switch self {
    case .connect, .listen: "127.0.0.1:8866"
    case .data: "./nuvom-data"
    case .fsync: "always"
    case .ephemeral, .insecure: "false"
    case .memoryLimit: "1GiB"
    case .diskLimit: "none"
    case .maximumConnections: "12000"
    case .logLevel: "info"
    }
  }

  /// The flag.
  var flag: String { "--\(rawValue)" }

  /// The environment variable, also in `.env`.
  var variable: String { "NUVOM_" + rawValue.uppercased().replacingOccurrences(of: "-", with: "_") }
}

/// A setting's value and who gave it.
struct SettingValue {
  /// Who gave a value, the strongest first.
  enum Source: String {
    case flag
    case environment
    case file = ".env"
    case standard = "default"
  }

  let setting: Setting
  let text: String
  let source: Source

  /// The value, read by `read`; an error names the place where it was written.
  func read<Value>(_ read: (String) throws -> Value) throws(Failure) -> Value {
    do {
      return try read(text)
    } catch {
      let place: String
      switch source {
      case .flag: place = setting.flag
      case .environment: place = "the environment variable \(setting.variable)"
      case .file: place = "\(setting.variable) in the file .env"
      case .standard: place = "the default of \(setting.flag)"
      }
      let status: ExitStatus = source == .flag ? .usage : .configuration
      throw Failure(status, "\(place) is \"\(text)\"; \((error as? Unreadable)?.description ?? "\(error)")")
    }
  }
}

/// The settings in force: flags over the environment over the file `.env` of the working directory over defaults.
///
/// The real environment wins over `.env`: a file that lies in a directory must not undo what the person or the service manager who
/// starts the program said.
struct Settings {
  private let sources: [(source: SettingValue.Source, reader: ConfigReader)]

  /// Reads the environment and `.env`, which may be missing.
  init(flags: [Setting: String]) async throws(Failure) {
    let values = flags.map { setting, text in
      (AbsoluteConfigKey(["nuvom", setting.rawValue]), ConfigValue(.string(text), isSecret: false))
    }
    let file: EnvironmentVariablesProvider
    do {
      file = try await EnvironmentVariablesProvider(environmentFilePath: ".env", allowMissing: true)
    } catch {
      throw Failure(.configuration, "the file .env cannot be read: \(error); give read access to it, or move it away")
    }
    let flags = InMemoryProvider(name: "flags", values: Dictionary(values) { _, last in last })
    sources = [
      (.flag, ConfigReader(provider: flags)),
      (.environment, ConfigReader(provider: EnvironmentVariablesProvider())),
      (.file, ConfigReader(provider: file)),
    ]
  }

  /// A setting's value. An empty variable counts as not set.
  subscript(_ setting: Setting) -> SettingValue {
    for (source, reader) in sources {
      guard var text = reader.string(forKey: ConfigKey(["nuvom", setting.rawValue])) else { continue }
      if source == .file, let quote = text.first, quote == "\"" || quote == "'", text.count > 1, text.last == quote {
        text = String(text.dropFirst().dropLast())
      }
      if !text.isEmpty || source == .flag { return SettingValue(setting: setting, text: text, source: source) }
    }
    return SettingValue(setting: setting, text: setting.standard, source: .standard)
  }
}
