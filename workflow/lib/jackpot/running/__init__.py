"""What keeps a job alive and alone: locks, leases, finished work. Changes no result."""
