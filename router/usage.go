package router

import "howdah/tenants"

// SetUsage says how tenants stand to their quotas: all that have one, by name. The map
// must not be changed afterwards.
func (s *Server) SetUsage(all map[string]tenants.Usage) { s.usage.Store(&all) }

// Usage returns what SetUsage has said last.
func (s *Server) Usage() map[string]tenants.Usage {
	if all := s.usage.Load(); all != nil {
		return *all
	}
	return nil
}
