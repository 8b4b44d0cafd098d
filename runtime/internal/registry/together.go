package registry

import "slices"

// A Transaction is what happens while caches are opened together.
type Transaction struct{ undo, commit []func() }

// Together opens caches in one transaction: if one cannot be opened, what the others have claimed
// is given back, and none has changed. Of one program one transaction runs at a time, so that of
// two that exclude each other one succeeds: its caller sees to that.
func Together[C any](caches []C, open func(*Transaction, C) error) error {
	var t Transaction
	for _, c := range caches {
		if err := open(&t, c); err != nil {
			for _, undo := range slices.Backward(t.undo) {
				undo()
			}
			return err
		}
	}
	for _, do := range t.commit {
		do()
	}
	return nil
}

// OnFailure calls undo if the transaction fails.
func (t *Transaction) OnFailure(undo func()) { t.undo = append(t.undo, undo) }

// OnSuccess calls do when the transaction has succeeded.
func (t *Transaction) OnSuccess(do func()) { t.commit = append(t.commit, do) }
