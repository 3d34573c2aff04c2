"""What happens next: routes, schedules, bounces, and who is tried when."""
