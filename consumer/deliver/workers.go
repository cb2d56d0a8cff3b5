package deliver

import "sync"

// workers send attempts side by side. They are started as they are needed.
type workers struct {
	limit int // of attempts that are started and not done
	send  func(*attempt) *result

	work    chan *attempt
	done    chan *result
	busy    int // attempts whose results are not taken from done yet
	started int
	all     sync.WaitGroup
}

// start hands an attempt to a worker.
func (w *workers) start(a *attempt) {
	if w.work == nil {
		w.work, w.done = make(chan *attempt, w.limit), make(chan *result, w.limit)
	}
	w.busy++
	if w.started < w.busy {
		w.started++
		w.all.Go(func() {
			for a := range w.work {
				w.done <- w.send(a)
			}
		})
	}
	w.work <- a
}

// stop ends the workers, which have nothing left to do.
func (w *workers) stop() {
	if w.work != nil {
		close(w.work)
		w.all.Wait()
	}
}
