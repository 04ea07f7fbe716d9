"""The pages for people: sign-in and the study list."""
