"""A trained model on disk: its folder, card and thresholds, and what loads, imports or averages one."""
