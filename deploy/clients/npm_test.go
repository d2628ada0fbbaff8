//go:build npm

package clients

import "testing"

// TestNPMClients is TestClients with the clients that npm installs.
func TestNPMClients(t *testing.T) { testClients(t, npmClients) }

// TestNPMFinalAnswers is TestFinalAnswers with them.
func TestNPMFinalAnswers(t *testing.T) { testFinalAnswers(t, npmClients) }
