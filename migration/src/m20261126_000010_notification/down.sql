DROP TABLE guest_sms_daily_count;
DROP TABLE notification_throttle;
DROP TABLE notification_preference;
DROP TABLE notification;
