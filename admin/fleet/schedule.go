package fleet

import (
	"time"

	"howdah/admin/jobs"
	"howdah/tenants/catalog"
)

// itself is who begins what nobody asks for.
var itself = catalog.Actor{Name: "howdah", Door: "schedule"}

// configureRoles is the name of ConfigureRoles' schedule.
const configureRoles = "configure-roles"

// schedules are what is done again and again, by one node at a time.
func (f *Fleet) schedules() []jobs.Schedule {
	return []jobs.Schedule{
		{Name: "warm", Every: warmPause, Run: f.KeepWarm},
		{Name: "clear-shelves", Every: 2 * time.Minute, Run: f.clearShelves},
		{Name: "compare", Every: comparePause, Run: f.Compare},
		{Name: "purge", Every: 30 * time.Second, Run: f.PurgeOld},
		{Name: configureRoles, Every: rolesEvery, Run: f.ConfigureRoles},
		{Name: "store-lineage", Every: time.Minute, Run: f.storeLineage},
		{Name: "sweep-exports", Every: time.Hour, Run: f.sweepExports},
		{Name: "forget-passwords", Every: time.Hour, Run: f.forgetPasswords},
		{Name: "forget-answers", Every: time.Hour, Run: f.forgetAnswers},
	}
}
