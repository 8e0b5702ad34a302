package postgres

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// Child is a process that does not outlive us: however we end, KILL included,
// the kernel sends it a signal.
type Child struct {
	process *os.Process
	done    chan struct{}

	err error // written before done is closed
}

// StartChild starts cmd with onDeath as its parent-death signal. The cmd must
// not be used afterwards. Its Stdout and Stderr should be files: nothing reads
// pipes once we are gone.
func StartChild(cmd *exec.Cmd, onDeath syscall.Signal) (*Child, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	cmd.SysProcAttr.Pdeathsig = onDeath
	c := &Child{done: make(chan struct{})}
	started := make(chan error)
	go c.run(cmd, started)
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// run keeps its thread for as long as the process lives: the kernel sends the
// parent-death signal when the thread that started the process ends, and Go
// ends threads it has no use for.
func (c *Child) run(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	c.process = cmd.Process
	started <- nil
	c.err = cmd.Wait()
	close(c.done)
}

// PID is the process id.
func (c *Child) PID() int { return c.process.Pid }

// Done is closed when the process has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err says how the process ended: nil for exit status 0, else an
// *exec.ExitError. It may be called after Done is closed.
func (c *Child) Err() error { return c.err }

// Outcome says in words how the process ended, "exit status 0" for nil Err. It
// may be called after Done is closed.
func (c *Child) Outcome() string {
	if c.err == nil {
		return "exit status 0"
	}
	return c.err.Error()
}

// Signal sends a signal; to a process that has ended it does nothing.
func (c *Child) Signal(sig os.Signal) {
	_ = c.process.Signal(sig) // the one error is that it has ended
}
