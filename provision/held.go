package provision

// HeldName is what the database is called that a Drop with this job's id has put away.
func HeldName(jobID string) string { return prefixDrop + jobID }
