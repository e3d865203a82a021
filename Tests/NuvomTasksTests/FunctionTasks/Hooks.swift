import Synchronization

/// What hooks of the tasks here were told.
enum Hooks {
  static let told: Mutex<[String]> = Mutex([])
}
