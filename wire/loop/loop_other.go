//go:build !linux

package loop

var _ = howdah_needs_Linux_because_its_event_loop_is_built_on_epoll
