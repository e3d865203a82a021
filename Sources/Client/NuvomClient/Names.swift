public import NuvomModel

// Words of the model that this module's interface speaks, so that a program imports NuvomClient alone.

/// The name of a job; sixteen hexadecimal digits for people. Never used twice.
public typealias JobID = NuvomModel.JobID
/// Proof of a lease: a number that rises with every delivery, also across restarts. Fit for fencing in a database of one's own.
public typealias LeaseToken = NuvomModel.LeaseToken
/// Where a job is in its life.
public typealias JobState = NuvomModel.JobState
/// Why a job is a dead letter.
public typealias DeadReason = NuvomModel.DeadReason
/// What happened to jobs, counted since the broker's log began.
public typealias Totals = NuvomModel.Totals
