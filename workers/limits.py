"""What the configuration allows an activity, in the activities' own words."""
