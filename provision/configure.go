package provision

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Configure gives a tenant's role its settings in the tenant's database. What somebody
// else has set there stays, also where it is set for the role or for the database alone.
type Configure struct {
	ID     string
	Role   string
	Wanted map[string]string // of those that Create takes, as its Settings; others are taken away
	// Given are values that Howdah has given before, or may have: of these it takes away.
	Given map[string][]string
}

// roleSettings are those that a tenant's role gets.
var roleSettings = []string{"idle_in_transaction_session_timeout", "statement_timeout", "temp_file_limit", "work_mem"}

func checkSettings(settings map[string]string) error {
	for name, value := range settings {
		if !slices.Contains(roleSettings, name) {
			return fmt.Errorf("setting %q is none that a tenant's role gets here", name)
		}
		if err := checkValue(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (o Configure) validate() error {
	err := errors.Join(checkID(o.ID), checkSettings(o.Wanted))
	if o.Role == "" {
		err = errors.Join(err, errors.New("the role has no name"))
	}
	return err
}

func (o Configure) interest() interest {
	return interest{ids: []string{o.ID}, roles: []string{o.Role}, settingsOf: o.Role}
}

func (o Configure) plan(s *State) ([]Step, error) {
	d := s.live(o.ID)
	if d == nil {
		return nil, notFound("tenant %s has no database", o.ID)
	}
	if s.role(o.Role) == nil {
		return nil, notFound("role %q", o.Role)
	}
	var says, sql []string
	for _, name := range roleSettings {
		has, is := s.setting(OfRoleInDatabase, name)
		want, wanted := o.Wanted[name]
		switch {
		case o.leaves(s, name), is == wanted && has == want:
		case wanted:
			set := Setting{OfRoleInDatabase, name, want}
			says, sql = append(says, name+" = "+want), append(sql, set.sql(d.Name, o.Role))
		default:
			says = append(says, name+" no more")
			sql = append(sql, "ALTER ROLE "+quote(o.Role)+" IN DATABASE "+quote(d.Name)+" RESET "+quote(name))
		}
	}
	if sql == nil {
		return nil, nil
	}
	return []Step{{
		Name: "configure", Says: fmt.Sprintf("have role %q in database %q have %s", o.Role, d.Name, strings.Join(says, ", ")),
		actions: []action{{kind: change, database: staying(d), sql: sql}},
	}}, nil
}

// leaves reports whether a setting is somebody else's.
func (o Configure) leaves(s *State, name string) bool {
	if has, is := s.setting(OfRoleInDatabase, name); is {
		return has != o.Wanted[name] && !slices.Contains(o.Given[name], has)
	}
	_, ofRole := s.setting(OfRole, name)
	_, ofDatabase := s.setting(OfDatabase, name)
	return ofRole || ofDatabase
}

// Leaves returns which of the wanted settings are somebody else's, in order.
func (o Configure) Leaves(s State) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(o.Wanted)), func(name string) bool { return !o.leaves(&s, name) })
}

func (o Configure) undo(*State) ([]Step, error) { return nil, nil }
