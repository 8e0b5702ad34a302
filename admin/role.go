package admin

import "slices"

// Role is what a user may do in the console.
type Role uint8

// The roles.
const (
	RoleNone  Role = iota // is not let in
	RoleStats             // may look, change nothing
	RoleAdmin             // may do everything
)

// String returns the role's name.
func (r Role) String() string {
	switch r {
	case RoleStats:
		return "stats"
	case RoleAdmin:
		return "admin"
	}
	return "none"
}

// RoleOf returns the role of a user, given the lists of the configuration. Who is
// on both lists is an admin.
func RoleOf(user string, admins, stats []string) Role {
	switch {
	case slices.Contains(admins, user):
		return RoleAdmin
	case slices.Contains(stats, user):
		return RoleStats
	}
	return RoleNone
}
