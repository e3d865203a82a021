import NuvomClient
import NuvomCommandLine

// What commands ask of the client beside single requests.
extension NuvomClient {
  /// Creates or updates up to 10 000 schedules, all or none, with a receipt for each.
  /// - Throws: ``Failure`` that names the schedule that is refused, and what of it.
  func define(_ schedules: [Schedule]) async throws -> [ScheduleReceipt] {
    do {
      return try await schedule(schedules)
    } catch let error as NuvomError {
      // The field is `schedules[7]` or `schedules[7].cron`: people know a schedule by its name.
      guard let place = error.field?.firstMatch(of: /^schedules\[([0-9]+)\]\.?(.*)$/)?.output, let index = Int(place.1),
        schedules.indices.contains(index)
      else { throw error }
      let field = place.2.isEmpty ? "" : "; field \(place.2)"
      throw Failure(
        ExitStatus(error.code), "\(Output.printable(schedules[index].name)): \(error.message)\(field)",
        code: error.code.rawValue)
    }
  }

  /// Everything the broker knows of a schedule.
  /// - Throws: ``Failure`` that names it, if there is none.
  func status(ofSchedule name: String) async throws -> ScheduleStatus {
    do {
      return try await schedule(named: name)
    } catch let error as NuvomError where error.code == .notFound {
      throw Failure(ExitStatus(error.code), "\(Output.printable(name)): \(error.message)", code: error.code.rawValue)
    }
  }

  /// Goes over all schedules that fit, many with a request.
  func gatherSchedules<Gathered>(
    _ filter: ScheduleFilter = ScheduleFilter(), into nothing: Gathered,
    _ body: (inout Gathered, ScheduleStatus) throws -> Void
  ) async throws -> Gathered {
    var gathered = nothing
    var after: String?
    var restarts = 0
    while true {
      do {
        // Ten times as many could have more elements than a frame may.
        let page = try await schedulePage(filter, after: after, limit: 1_000)
        for status in page.schedules { try body(&gathered, status) }
        guard let next = page.next else { return gathered }
        after = next
      } catch let error as NuvomError where error.code == .notFound && after != nil && restarts < 10 {
        // The schedule at which the page ended was deleted meanwhile: nobody knows what came after it.
        restarts += 1
        (gathered, after) = (nothing, nil)
      }
    }
  }
}
